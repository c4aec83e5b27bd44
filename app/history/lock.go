package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// lockTime is how long one process waits for another one to open the history or to
	// look through it, and lockBeat the time between two tries.
	lockTime = 5 * time.Second
	lockBeat = 20 * time.Millisecond
)

// errLocked: somebody else has the lock at the moment.
var errLocked = errors.New("it is locked")

// heldError says who has not let go of the history.
type heldError struct {
	path  string
	pid   int   // 0 if unknown
	cause error // why there was no more waiting
}

func (e *heldError) Error() string {
	who := "another program"
	switch e.pid {
	case 0:
	case os.Getpid():
		who = "another part of this program"
	default:
		who = fmt.Sprintf("another Culvert (process %d)", e.pid)
	}
	return fmt.Sprintf("the history %s is held by %s: wait until that is done with it, or end it if it hangs", e.path, who)
}

func (e *heldError) Unwrap() error { return e.cause }

// lock locks the history at a path against other processes that open it too. It
// waits until ctx ends, but not for ever.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = tryLock(f); err == nil {
			break
		}
		if !errors.Is(err, errLocked) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		select {
		case <-time.After(lockBeat):
		case <-ctx.Done():
			defer f.Close()
			return nil, &heldError{path, holder(f), context.Cause(ctx)}
		}
	}
	// For those who wait. Whoever cannot write this down holds the lock all the same.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return func() {
		_ = f.Truncate(0)
		f.Close()
	}, nil
}

// holder reads who has written himself into a lock.
func holder(f *os.File) int {
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
