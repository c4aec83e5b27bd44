// Package link is one connection from the agent to a backend: it dials, shakes
// hands, and serves what comes in, in form 1 or form 2 of package wire. Keeping
// a tunnel online over many connections is package session's job.
package link

// Hello is what the session remembers from earlier connections and shows to the
// backend when it dials again. The zero value, but for Instance, is a first call.
type Hello struct {
	// TunnelID is the wanted ID; "" lets the backend choose.
	TunnelID string
	// Resume is the secret of an earlier connection_established, and Epoch the
	// number that came with it. Never logged.
	Resume string
	Epoch  int64
	// Instance is a random name of the session, the same for all its connections.
	Instance string
}
