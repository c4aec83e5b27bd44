//go:build unix

package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Lock takes a lock that all processes of this user share, and that goes with
// the process.
func Lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another program that holds %s: %w", name, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func askToStop(p *os.Process) { p.Signal(syscall.SIGTERM) }

// Reaped reports whether a child has ended, without anybody waiting for it.
func Reaped(p *os.Process) bool {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(p.Pid, &status, syscall.WNOHANG, nil)
	return pid == p.Pid || errors.Is(err, syscall.ECHILD)
}
