package engine

import "time"

// LightState is what is known of one leg of a tunnel.
type LightState int

// The states of a light.
const (
	Unknown  LightState = iota // nobody has looked yet
	Checking                   // somebody is looking for the first time, or was asked to
	Up
	Down
	Waits // for another leg: a URL leads nowhere while there is no link
)

// Light is one leg of a tunnel at the moment when it was last looked at. It is a value.
type Light struct {
	State LightState
	// Cause is why it is Down, for people; else "".
	Cause string
	// RTT is how long the last look took that found it Up.
	RTT time.Duration
	// At is when that state was found; zero if Unknown, Checking or Waits.
	At time.Time
}

// Lights say which leg of a tunnel is bad: Service is the way from here to the local
// service or the folder, URL the whole way that visitors take. The link between is
// the session's state.
type Lights struct{ Service, URL Light }
