package link

import (
	"context"
	"net"
	"syscall"
	"testing"
)

// dialOption is a TCP option of a socket that is dialled with control.
func dialOption(t *testing.T, control func(context.Context, string, string, syscall.RawConn) error, option int) (value int) {
	t.Helper()
	host := rawServer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	conn, err := (&net.Dialer{ControlContext: control}).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		value, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
	}); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	return value
}

func TestUnackedDataHasATimeLimit(t *testing.T) {
	t.Parallel()
	if ms := dialOption(t, controlSocket, tcpUserTimeout); ms != 30_000 {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, want 30 s", ms)
	}
}

func TestGatewaySocketsHoldLittleUnsentData(t *testing.T) {
	t.Parallel()
	if got := dialOption(t, controlGatewaySocket, tcpNotsentLowat); got != unsentLimit {
		t.Errorf("gateway: TCP_NOTSENT_LOWAT is %d, want %d", got, unsentLimit)
	}
	if got := dialOption(t, controlSocket, tcpNotsentLowat); got != 0 {
		t.Errorf("relay: TCP_NOTSENT_LOWAT is %d, want 0", got)
	}
}
