package model

import "time"

// LightState is what is known of one leg of a tunnel's way.
type LightState int

// The states of a light.
const (
	LightUnknown  LightState = iota // not asked yet
	LightChecking                   // being asked
	LightUp
	LightDown
	LightWaits // cannot be known before another leg works
)

// Light is one leg: what is known, since when, and why it is down.
type Light struct {
	State LightState
	Cause string        // for people, "" unless it is down
	RTT   time.Duration // how long the last question took, 0 if that is unknown
	At    time.Time     // when it was last asked
}

// Lights are the three legs of a tunnel: from here to the local service, from here to
// the backend, and from a visitor to here by the public URL.
type Lights struct{ Service, Link, URL Light }
