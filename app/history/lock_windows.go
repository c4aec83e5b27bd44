package history

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockPlace is where the lock lies, behind all that is written into the file: what is
// locked cannot be read by others.
const lockPlace = 1 << 20

// tryLock takes the lock, or gives errLocked. It ends with the file, or with the
// process, however that ends.
func tryLock(f *os.File) error {
	at := &windows.Overlapped{Offset: lockPlace}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}
