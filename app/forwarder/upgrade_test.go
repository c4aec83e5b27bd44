package forwarder

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"culvert/app/capture"
	"culvert/backend/wire"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\nSec-Websocket-Accept: x\r\n\r\n"

// upgrading is a visit that asks for another protocol; what the visitor sends
// after it is written to the pipe.
func upgrading(t *testing.T) (*visit, *io.PipeWriter) {
	v, w := newVisit(t, "GET", "/chat").withStream(0)
	v.head.Upgrade = "chat"
	return v, w
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	// The service greets in the same packet as its head, and echoes.
	s := rawService(t, func(c *serviceConn) {
		head := c.head()
		if h := fieldsOf(t, head); h.Get("Connection") != "Upgrade" || h.Get("Upgrade") != "chat" || strings.Contains(head, "Content-Length") {
			t.Errorf("head %q", head)
		}
		c.say(switching + "hello ")
		io.Copy(c.Conn, c.br)
		c.say(" bye") // after the visitor's end
	})
	seen := make(chan *capture.Exchange, 1)
	recorder, err := capture.New(capture.Config{Bodies: true, OnExchange: func(e *capture.Exchange) { e.Keep(); seen <- e }})
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	f := forwarderTo(t, s.addr(), func(c *Config) { c.Recorder = recorder })
	v, visitor := upgrading(t)
	done := serve(f, v)
	wait(t, "the head", v.headed)
	for range 3 {
		io.WriteString(visitor, "ping")
	}
	visitor.Close()
	wait(t, "the end", done)
	if v.reset != nil || !v.complete || v.text() != "hello pingpingping bye" {
		t.Errorf("got %q, complete %v, reset %v", v.text(), v.complete, v.reset)
	}
	if a := v.answer; a.Status != 101 || a.Header.Get("Upgrade") != "chat" || a.Header["Connection"] != nil || a.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Errorf("head %+v", a)
	}
	e := <-seen
	if e.Status != 101 || e.BytesIn != 12 || e.BytesOut != 22 || e.Upgrade != "chat" || e.RequestBody.Len()+e.ResponseBody.Len() > 0 {
		t.Errorf("recorded %+v", e)
	}
	if len(f.pool.idle) != 0 {
		t.Error("the connection is kept for HTTP")
	}
}

// TestUpgradeServiceEndsFirst: the visitor may go on for as long as he sends.
func TestUpgradeServiceEndsFirst(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s := rawService(t, func(c *serviceConn) {
		c.head()
		c.say(switching + "bye")
		c.Conn.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c.br)
		got <- string(b)
	})
	v, visitor := upgrading(t)
	done := serve(forwarderTo(t, s.addr(), nil), v)
	wait(t, "the service's end", v.ended)
	io.WriteString(visitor, "still here")
	visitor.Close()
	wait(t, "the end", done)
	if text := <-got; text != "still here" || v.text() != "bye" || v.reset != nil {
		t.Errorf("the service got %q, the visitor %q, reset %v", text, v.text(), v.reset)
	}
}

func TestUpgradeServiceFails(t *testing.T) {
	t.Parallel()
	s := rawService(t, func(c *serviceConn) {
		c.head()
		c.say(switching)
		c.br.ReadByte()
		c.Conn.(*net.TCPConn).SetLinger(0)
	})
	v, visitor := upgrading(t)
	done := serve(forwarderTo(t, s.addr(), nil), v)
	wait(t, "the head", v.headed)
	io.WriteString(visitor, "x")
	wait(t, "the end", done)
	if v.complete || v.reset == nil || v.reset.Code != wire.ResetInternal {
		t.Errorf("complete %v, reset %v", v.complete, v.reset)
	}
}

// TestUpgradeVisitorFails: the service must not take it for an orderly end.
func TestUpgradeVisitorFails(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"the exchange ends", "reading fails"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			end := make(chan error, 1)
			s := rawService(t, func(c *serviceConn) {
				c.head()
				c.say(switching)
				_, err := io.ReadAll(c.br)
				end <- err
			})
			v, visitor := upgrading(t)
			done := serve(forwarderTo(t, s.addr(), nil), v)
			wait(t, "the head", v.headed)
			if how == "the exchange ends" {
				v.cancel()
			} else {
				visitor.CloseWithError(errors.New("torn"))
			}
			wait(t, "the end", done)
			if err := <-end; err == nil {
				t.Error("the service saw an orderly end")
			}
			if v.reset == nil || v.reset.Code != wire.ResetCancel {
				t.Errorf("reset %v", v.reset)
			}
		})
	}
}

// TestUpgradeRefused: another answer to an upgrade is an answer like any other.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	s := rawService(t, func(c *serviceConn) {
		for c.head() != "" {
			c.say("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno")
		}
	})
	f := forwarderTo(t, s.addr(), nil)
	for range 2 {
		v, _ := upgrading(t)
		answered(t, f, v, 426)
		if v.text() != "no" || v.answer.Header["Upgrade"] != nil {
			t.Errorf("got %q, %+v", v.text(), v.answer)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("two refusals took %d connections", n)
	}
}
