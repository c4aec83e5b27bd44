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
type Tunnel struct {
	Key    string // the engine's, unique and stable while the program runs
	Name   string // what the user calls it: the wanted name, else the target
	Detail string // what stands beside the name: the target, else the tunnel's ID
	State  State
	Since  time.Time // when State began
	// Attempt, NextTry and Cause say why it is not online; Cause is text for people.
	Attempt int
	NextTry time.Time
	Cause   string
	URL     string // public URL, "" before the first connection
	// Browse is what this computer's browser opens, "" for URL: where it can be had, an
	// address with a host of its own, on which absolute links work too.
	Browse string

	Requests int // seen since the tunnel was opened; kept by the Store
	// Warning is why the last request did not reach the local service, "" if it did
	// or if there was none since the tunnel was started; kept by the Store.
	Warning string
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

// Backend is where the tunnels lead.
type Backend struct {
	Name    string // "Built-in relay", or the URL
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
