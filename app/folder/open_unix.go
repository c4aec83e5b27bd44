//go:build unix

package folder

import "syscall"

// nonblock keeps the opening of a named pipe, should one take a file's place, from
// waiting for its other end.
const nonblock = syscall.O_NONBLOCK
