package forwarder

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// service is a local service that speaks as its test wants, on raw TCP.
type service struct {
	ln    net.Listener
	conns atomic.Int64
	wg    sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
}

// rawService gives every connection to handle, and closes it afterwards.
func rawService(t testing.TB, handle func(c *serviceConn)) *service {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{ln: ln, open: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open[c] = true
			s.mu.Unlock()
			n := int(s.conns.Add(1))
			s.wg.Go(func() {
				defer func() {
					c.Close()
					s.mu.Lock()
					delete(s.open, c)
					s.mu.Unlock()
				}()
				handle(&serviceConn{t: t, Conn: c, br: bufio.NewReader(c), n: n})
			})
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *service) stop() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *service) addr() string { return s.ln.Addr().String() }

// serviceConn is one connection of a raw service.
type serviceConn struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
	n  int // it is the nth
}

// head reads a request's head as it came; "" at the end of the connection.
func (c *serviceConn) head() string {
	var b strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// say writes text; errors are the test's to see by what comes of it.
func (c *serviceConn) say(text string) { io.WriteString(c.Conn, text) }

// until waits for the peer to close or reset the connection.
func (c *serviceConn) untilClosed() error {
	c.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, c.br)
	return err
}

// fieldsOf gives the header of a head as it came.
func fieldsOf(t testing.TB, head string) http.Header {
	t.Helper()
	_, fields, _ := strings.Cut(head, "\r\n")
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields))).ReadMIMEHeader()
	if err != nil {
		t.Errorf("head %q: %v", head, err)
	}
	return http.Header(h)
}

const okEmpty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// recordingService answers every request with okEmpty and gives the heads it saw.
// Bodies are not expected.
func recordingService(t testing.TB) (s *service, heads chan string) {
	heads = make(chan string, 100)
	return rawService(t, func(c *serviceConn) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			heads <- head
			c.say(okEmpty)
		}
	}), heads
}
