package wsframe

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// overTLS gives both ends of a WebSocket over TLS, and counts what the client writes.
func overTLS(t *testing.T) (server, client *Conn, counting *writeCounter) {
	t.Helper()
	cert := httptest.NewUnstartedServer(http.NotFoundHandler())
	cert.StartTLS()
	t.Cleanup(cert.Close)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Certificate())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	counting = &writeCounter{Conn: raw}
	ours := tls.Client(NewBundle(counting), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	theirs := tls.Server(<-accepted, &tls.Config{Certificates: cert.TLS.Certificates})
	t.Cleanup(func() { raw.Close(); theirs.Close() })
	done := make(chan error, 1)
	go func() { done <- theirs.Handshake() }()
	if err := ours.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return New(theirs, nil, false, 1<<20), New(ours, nil, true, 1<<20), counting
}

// writeCounter counts writes.
type writeCounter struct {
	net.Conn
	writes int
}

func (c *writeCounter) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

func TestBundle(t *testing.T) {
	t.Parallel()
	server, client, counting := overTLS(t)
	for _, test := range []struct{ size, writes int }{
		{10, 1}, {record - 100, 1}, {16 << 10, 1}, {60 << 10, 1}, {100 << 10, 2}, {20, 1},
	} {
		body := bytes.Repeat([]byte{byte(test.size), 2, 3, 5}, test.size/4+1)[:test.size]
		message := append(make([]byte, Headroom), body...)
		before := counting.writes
		sent := make(chan error, 1)
		go func() { sent <- client.Write(Binary, message, time.Minute) }()
		if _, err := server.Next(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: %d came, %v", test.size, len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if n := counting.writes - before; n != test.writes {
			t.Errorf("%d bytes took %d writes, want %d", test.size, n, test.writes)
		}
	}
}

// A peer that takes nothing does not keep Close waiting, as TLS would.
func TestCloseOfAStuckBundle(t *testing.T) {
	t.Parallel()
	_, client, _ := overTLS(t)
	stuck := make(chan error, 1)
	go func() {
		for {
			if err := client.Write(Binary, make([]byte, 256<<10), time.Hour); err != nil {
				stuck <- err
				return
			}
		}
	}()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-stuck; err == nil {
		t.Error("it goes on")
	}
}
