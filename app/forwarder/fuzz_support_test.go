package forwarder

import (
	"net"
	"testing"
)

// exchangeReading is an exchange whose request was sent and whose service has
// answered this, and then closed.
func exchangeReading(t testing.TB, answer, method string) (*exchange, *visit) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		server.Write([]byte(answer))
		server.Close()
	}()
	c, err := newConn(client, client.(*net.TCPConn), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	c.attach(newReading())
	f := forwarderTo(t, ln.Addr().String(), nil)
	v := newVisit(t, method, "/")
	return &exchange{f: f, x: v, head: &v.head, c: c, stop: func() bool { return true }}, v
}
