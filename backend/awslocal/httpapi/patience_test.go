package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener that has one connection to give.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// dialPipe serves one connection without a socket, so that synctest has its time.
func dialPipe(server *http.Server) (conn net.Conn, stop func()) {
	near, far := net.Pipe()
	l := &oneConn{make(chan net.Conn, 1), make(chan struct{})}
	l.conn <- far
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	return near, func() {
		near.Close()
		server.Close()
		<-done
	}
}

func TestBodiesMustCome(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]*http.Server{
		"HTTP API":     newAPI(t, Config{}).Server(),
		"function URL": newURL(t, URLConfig{Function: answering(`{}`)}).Server(),
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, stop := dialPipe(server)
			defer stop()
			began := time.Now()
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestTimeout || time.Since(began) != bodyTimeout {
				t.Errorf("%s: %d after %v", name, resp.StatusCode, time.Since(began))
			}
		})
	}
}

func TestAnswersMustBeTaken(t *testing.T) {
	t.Parallel()
	large := `{"statusCode":200,"body":"` + strings.Repeat("x", 1<<20) + `"}`
	synctest.Test(t, func(t *testing.T) {
		logged := make(chan Access, 1)
		conn, stop := dialPipe(newAPI(t, Config{Function: answering(large), Log: func(a Access) { logged <- a }}).Server())
		defer stop()
		began := time.Now()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-logged // once the answer is written, or given up
		if took := time.Since(began); took != answerTimeout {
			t.Errorf("given up after %v", took)
		}
	})
}

// TestDeadlinesEndWithTheirPurpose: a function may take longer than a body.
func TestDeadlinesEndWithTheirPurpose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newURL(t, URLConfig{Function: sleeper(10 * time.Minute)}).Server()
		conn, stop := dialPipe(server)
		defer stop()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}
