package engine

import (
	"encoding/json"
	"time"

	"culvert/app/capture"
	"culvert/app/session"
)

// Event is something that whoever shows the engine to a person wants to know:
// StatusChanged, StreamOpened, RequestDone, Dropped, Probed, Edited, Notice,
// NoticeReceived, Removed or BuiltInChanged.
//
// Events of one tunnel come one at a time and in order; those of different
// tunnels, and of the engine itself, may come at the same time.
type Event interface{ isEvent() }

// StatusChanged is every transition of a tunnel's session, exactly once. Online
// comes after every successful connect, also when nothing but the connection changed.
type StatusChanged struct {
	Tunnel *Tunnel
	Status session.Status // without the resume secret
}

// RequestDone is one finished exchange, which must not be changed.
type RequestDone struct {
	Tunnel   *Tunnel
	Exchange *capture.Exchange
}

// StreamOpened is an exchange that turns out to last, with Config.Bodies. RequestDone
// comes when it is over, with the same Stream, unless it is among the Dropped: the
// last word is Stream.Done.
type StreamOpened struct {
	Tunnel *Tunnel
	Stream *capture.Stream
}

// Probed says that a light of the tunnel has changed, or that the public URL was
// looked at again.
type Probed struct {
	Tunnel *Tunnel
	Lights Lights
}

// Edited says that the tunnel has another Spec. It comes before what the session says
// of that.
type Edited struct{ Tunnel *Tunnel }

// Dropped says that the records of N exchanges were left out of the log since the
// last time, because OnEvent was too slow for them. The exchanges took place.
type Dropped struct {
	Tunnel *Tunnel
	N      int
}

// Notice is news for a person, one line.
type Notice struct {
	Tunnel  *Tunnel // nil if it is about the program
	Message string
}

// NoticeReceived is what somebody has sent to this user through the backend. It comes
// once, by whichever tunnel was first, however many of them are told.
type NoticeReceived struct {
	Tunnel *Tunnel
	ID     string
	At     time.Time // when it was sent, else when it came
	// Title, which may be "", and Text are for people, each one line or more, cleaned
	// and bounded.
	Title, Text string
	Data        json.RawMessage // as it was sent
}

// Removed is a tunnel's last event.
type Removed struct{ Tunnel *Tunnel }

// BuiltInChanged says that the built-in relay has started, has stopped, or has
// other addresses.
type BuiltInChanged struct{ BuiltIn BuiltIn }

func (StatusChanged) isEvent()  {}
func (RequestDone) isEvent()    {}
func (StreamOpened) isEvent()   {}
func (Probed) isEvent()         {}
func (Edited) isEvent()         {}
func (Dropped) isEvent()        {}
func (Notice) isEvent()         {}
func (NoticeReceived) isEvent() {}
func (Removed) isEvent()        {}
func (BuiltInChanged) isEvent() {}
