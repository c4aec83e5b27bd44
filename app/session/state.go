package session

import (
	"fmt"
	"time"

	"culvert/backend/wire"
)

// State is where a session stands.
//
//	                         dial failed
//	          ┌───────────┐  or timed out   ┌──────────────┐ ──┐ failed again,
//	  Run ──► │Connecting │ ──────────────► │ Reconnecting │   │ or brought
//	   ▲      └─────┬─────┘                 └──┬───────▲───┘ ◄─┘ forward
//	   │            │ established              │       │
//	┌──┴─────┐      ▼         established      │       │ lost, or no sign of life
//	│Stopped │  ┌────────┐ ◄───────────────────┘       │ after wake-up
//	└────────┘  │ Online │ ────────────────────────────┘
//	            └─┬────▲─┘
//	              └────┘ a successor has taken over before the end
//
//	From Connecting, Online and Reconnecting: to Stopped when ctx ends, and to
//	Refused when the backend says no for good.
//
// Stopped and Refused are where Run has returned; it may be called again.
type State int

// The states, in the order of the diagram.
const (
	Stopped State = iota
	Connecting
	Online
	Reconnecting
	Refused
)

// String is the one word that people read.
func (s State) String() string {
	switch s {
	case Stopped:
		return "Stopped"
	case Connecting:
		return "Connecting"
	case Online:
		return "Online"
	case Reconnecting:
		return "Reconnecting"
	case Refused:
		return "Refused"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Status is one moment of a session. It is a value: keep it, compare it.
type Status struct {
	State State
	// Since is when State was entered; a repeated announcement keeps it.
	Since time.Time
	// Attempt counts the tries since the connection was last good: 1 for the
	// first one. Only while Reconnecting.
	Attempt int
	// NextTry is when that try starts; not after now if it is under way. Only
	// while Reconnecting.
	NextTry time.Time
	// Cause is why the session is Reconnecting or Refused: an error that people
	// can read; a *wire.Error when Refused.
	Cause error
	// Established is the last handshake's result: current while Online, and what
	// used to be there in other states (zero before the first).
	Established wire.Established
}
