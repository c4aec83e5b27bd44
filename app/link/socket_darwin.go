package link

import "syscall"

// tcpConnDropTime is TCP_RXT_CONNDROPTIME (netinet/tcp.h), in seconds.
const tcpConnDropTime = 0x80

func setUnackedLimit(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpConnDropTime, int(unackedFor.Seconds()))
}

// tcpNotsentLowat is TCP_NOTSENT_LOWAT (netinet/tcp.h), in bytes.
const tcpNotsentLowat = 0x201

func setUnsentLimit(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, unsentLimit)
}
