//go:build !windows

package crash

import (
	"errors"
	"syscall"
)

// alive reports whether a process exists. It may be another one with the same number.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
