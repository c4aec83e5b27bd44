//go:build unix

package history

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock, or gives errLocked. It ends with the file, or with the
// process, however that ends.
func tryLock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		}
		return err
	}
}
