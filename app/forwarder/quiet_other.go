//go:build !unix

package forwarder

import (
	"errors"
	"os"
	"time"
)

// quiet reports whether an unused connection is still open and nothing has come
// on it. There is no portable way to look without waiting, so this waits for a
// moment, and only where it is likely to matter: services close connections that
// have been idle for a while.
func (c *conn) quiet(idle time.Duration) bool {
	if c.tcp == nil || idle < 500*time.Millisecond {
		return true
	}
	if c.tcp.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	var b [1]byte
	_, err := c.tcp.Read(b[:])
	return errors.Is(err, os.ErrDeadlineExceeded) && c.tcp.SetReadDeadline(time.Time{}) == nil
}
