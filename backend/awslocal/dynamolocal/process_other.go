//go:build !unix

package dynamolocal

import (
	"context"
	"os"
)

// lock does nothing where there is no lock that goes with the process: two
// programs that fetch at once both do, and the later one finds its work done.
func lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }

func askToStop(p *os.Process) { p.Kill() }

func reaped(*os.Process) bool { return false }
