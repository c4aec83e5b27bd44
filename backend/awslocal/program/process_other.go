//go:build !unix

package program

import (
	"context"
	"os"
)

// Lock does nothing where there is no lock that goes with the process: two
// programs that fetch at once both do, and the later one finds its work done.
func Lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }

func askToStop(p *os.Process) { p.Kill() }

// Reaped cannot know here.
func Reaped(*os.Process) bool { return false }
