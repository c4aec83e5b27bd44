// Package model holds what the window shows, without a toolkit: tunnels, the
// bounded log of requests, notices, and the words for them. The engine's side
// writes into a Store from any goroutine and never waits; the window's side
// reads copies out of it at its own pace.
package model

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// State is where a tunnel stands. Its String is the bare word of the tray menu.
type State int

// The states of a tunnel.
const (
	Stopped State = iota
	Connecting
	Online
	Reconnecting
	Refused
)

func (s State) String() string {
	switch s {
	case Connecting:
		return "Connecting"
	case Online:
		return "Online"
	case Reconnecting:
		return "Reconnecting"
	case Refused:
		return "Refused"
	default:
		return "Stopped"
	}
}

// Running reports whether stopping the tunnel would change anything.
func (s State) Running() bool { return s == Connecting || s == Online || s == Reconnecting }

// Tunnel is one tunnel as the window shows it: a value, copied out of the engine.
// What it points to is not changed any more.
type Tunnel struct {
	Key    string // the engine's, unique and stable while the program runs
	Name   string // what the user calls it: the wanted name, else the target
	Detail string // what stands beside the name: the target, else the tunnel's ID
	// Target is the local service as a person would type it: "localhost:5173", "~/site".
	Target string
	// Framework is what the service was recognised as, such as "vite"; "" if it was not.
	Framework string
	Folder    bool   // it serves a folder
	Profile   string // name of the backend profile; "" for the built-in relay
	Public    bool   // its URL can be reached from beyond this computer
	// Hazard is why it is dangerous to let others reach the target, "" if it is not.
	Hazard string
	// Remembered: it is in the config file and comes back with the next start.
	Remembered bool

	State State
	Since time.Time // when State began
	// Attempt, NextTry and Cause say why it is not online; Cause is text for people.
	Attempt int
	NextTry time.Time
	Cause   string
	// TokenRefused: the cause is the token, or that there is none.
	TokenRefused bool
	URL          string // public URL, "" before the first connection
	// Browse is what this computer's browser opens, "" for URL: where it can be had, an
	// address with a host of its own, on which absolute links work too.
	Browse string
	// StreamURL is where streamed answers can be had at once where URL holds them back
	// until they end, as API Gateway does; "" if there is no such address.
	StreamURL string
	Lights    Lights

	// What follows is counted by the Store.

	Requests int // seen since the tunnel was opened
	// Warning is why the last request did not reach the local service, "" if it did
	// or if there was none since the tunnel was started.
	Warning string
	// Rate is how many requests there were in each of the last RateBuckets intervals of
	// RateInterval, oldest first; nil if there were none at all.
	Rate []float32
	// P50 and P95 are percentiles of how long the latest requests took; 0 without any.
	P50, P95 time.Duration
}

// Labels gives each tunnel, by its key, what tells it from the others: its name,
// and where two have the same name, what stands beside it.
func Labels(tunnels []Tunnel) map[string]string {
	times := make(map[string]int, len(tunnels))
	for _, t := range tunnels {
		times[t.Name]++
	}
	labels := make(map[string]string, len(tunnels))
	for _, t := range tunnels {
		labels[t.Key] = t.Name
		if times[t.Name] > 1 && t.Detail != "" {
			labels[t.Key] = t.Detail
		}
	}
	return labels
}

// Backend is where new tunnels lead.
type Backend struct {
	Name    string // "Built-in relay", the profile's name, or the URL
	Profile string // the profile's name, "" if it is none
	BuiltIn bool
	LAN     bool // the built-in relay listens to the network around
	Local   bool // only this computer reaches it, although it is not the built-in relay
}

// Local reports whether a URL can only lead to this computer.
func Local(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// Overall is what the tray icon says: the worst news first, then the best.
func Overall(tunnels []Tunnel) State {
	var counts [Refused + 1]int
	for _, t := range tunnels {
		counts[t.State]++
	}
	for _, s := range []State{Refused, Reconnecting, Connecting, Online} {
		if counts[s] > 0 {
			return s
		}
	}
	return Stopped
}

// AnyPublic reports whether something on this computer can be reached from beyond it
// now.
func AnyPublic(tunnels []Tunnel) bool {
	for _, t := range tunnels {
		if t.State == Online && t.Public {
			return true
		}
	}
	return false
}

// Count returns how many tunnels are in one of the states.
func Count(tunnels []Tunnel, states ...State) int {
	n := 0
	for _, t := range tunnels {
		for _, s := range states {
			if t.State == s {
				n++
			}
		}
	}
	return n
}
