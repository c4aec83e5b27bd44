//go:build unix

package forwarder

import (
	"syscall"
	"time"
)

// quiet reports whether an unused connection is still open and nothing has come
// on it. A service that has closed it, for being idle or on its way out, leaves
// an end of file to read; what it sends unasked, such as 408, could be taken for
// the answer to the next request. Looking costs one system call.
func (c *conn) quiet(time.Duration) bool {
	if c.tcp == nil {
		return true // this process does neither
	}
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true // the socket does not block: never wait
	})
	return err == nil && quiet
}
