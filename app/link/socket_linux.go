package link

import "syscall"

// tcpUserTimeout is TCP_USER_TIMEOUT (tcp(7), RFC 5482), in milliseconds.
const tcpUserTimeout = 0x12

func setUnackedLimit(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unackedFor.Milliseconds()))
}

// tcpNotsentLowat is TCP_NOTSENT_LOWAT (tcp(7)), in bytes.
const tcpNotsentLowat = 0x19

func setUnsentLimit(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, unsentLimit)
}
