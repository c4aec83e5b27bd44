package link

import (
	"context"
	"net"
	"syscall"
	"testing"
)

func TestUnackedDataHasATimeLimit(t *testing.T) {
	t.Parallel()
	host := rawServer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	conn, err := (&net.Dialer{ControlContext: controlSocket}).DialContext(context.Background(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ms int
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		ms, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	}); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	if ms != 30_000 {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, want 30 s", ms)
	}
}

func TestGatewaySocketsHoldLittleUnsentData(t *testing.T) {
	t.Parallel()
	host := rawServer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	for name, test := range map[string]struct {
		control func(context.Context, string, string, syscall.RawConn) error
		want    int
	}{"gateway": {controlGatewaySocket, unsentLimit}, "relay": {controlSocket, 0}} {
		conn, err := (&net.Dialer{ControlContext: test.control}).DialContext(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got int
		var optErr error
		if err := raw.Control(func(fd uintptr) {
			got, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat)
		}); err != nil || optErr != nil {
			t.Fatal(err, optErr)
		}
		if got != test.want {
			t.Errorf("%s: TCP_NOTSENT_LOWAT is %d, want %d", name, got, test.want)
		}
	}
}
