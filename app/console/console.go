// Package console shows a tunnel on a terminal, as readable lines, or to another
// program, as JSON lines.
//
// Both ways are the same to the tunnel: what is shown goes through a bounded
// queue, so that a slow or a closed standard output never slows traffic. Lines
// that find no room are counted, and a notice says how many. When the output is
// gone (its reader has ended, say), the tunnel stays up, and whoever made the
// Console is told once.
package console

import "culvert/app/engine"

// Console shows one tunnel. Its methods may be called by any goroutine and never wait.
type Console interface {
	// Show shows an event.
	Show(engine.Event)
	// Offline says that the tunnel is gone for good, and why.
	Offline(cause string)
	// Lines is where the output goes; whoever made the Console closes it.
	Lines() *Lines
}
