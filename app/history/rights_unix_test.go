//go:build unix

package history

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// limitFiles bounds the size of files, which has much the same effect as a full disk.
func limitFiles(bytes uint64) error {
	signal.Ignore(syscall.SIGXFSZ)
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = bytes
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// dropRights becomes a user who may not do everything.
func dropRights() error {
	if os.Getuid() != 0 {
		return nil
	}
	return errors.Join(syscall.Setgid(65534), syscall.Setuid(65534))
}
