package wsframe

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// slowConn takes what its script says: of each write so many bytes, and then an error.
type slowConn struct {
	net.Conn
	takes     []take
	out       bytes.Buffer
	writes    []int // how much each was asked to take
	deadlines []time.Duration
}

type take struct {
	n   int // -1: all
	err error
}

func (c *slowConn) Read([]byte) (int, error) { return 0, io.EOF }

func (c *slowConn) SetWriteDeadline(at time.Time) error {
	c.deadlines = append(c.deadlines, time.Until(at))
	return nil
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.writes = append(c.writes, len(p))
	if len(c.deadlines) != len(c.writes) {
		return 0, errors.New("a write without a deadline of its own")
	}
	next := take{-1, nil}
	if len(c.takes) > 0 {
		next, c.takes = c.takes[0], c.takes[1:]
	}
	n := next.n
	if n < 0 {
		n = len(p)
	}
	c.out.Write(p[:n])
	return n, next.err
}

// timedOut is a deadline's error as package net gives it.
func timedOut() error { return &net.OpError{Op: "write", Net: "tcp", Err: os.ErrDeadlineExceeded} }

func TestSlowPeers(t *testing.T) {
	t.Parallel()
	const (
		size  = 200 << 10
		whole = 4 + 4 + size + 2 + 4 // header, with eight bytes of length and a key
	)
	reset := &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	lost := &net.OpError{Op: "write", Net: "tcp", Err: syscall.ETIMEDOUT} // the kernel's, for good
	for name, tt := range map[string]struct {
		single bool
		takes  []take
		err    error
		writes []int
	}{
		"TCP, at once":          {true, nil, nil, []int{whole}},
		"TCP, in two":           {true, []take{{50000, timedOut()}}, nil, []int{whole, whole - 50000}},
		"TCP, byte by byte":     {true, []take{{1, timedOut()}, {1, timedOut()}, {1, timedOut()}}, nil, []int{whole, whole - 1, whole - 2, whole - 3}},
		"TCP, nothing":          {true, []take{{0, timedOut()}}, os.ErrDeadlineExceeded, []int{whole}},
		"TCP, nothing any more": {true, []take{{9, timedOut()}, {0, timedOut()}}, os.ErrDeadlineExceeded, []int{whole, whole - 9}},
		"TCP, broken":           {true, []take{{9, reset}}, reset, []int{whole}},
		"TCP, dead":             {true, []take{{9, lost}}, lost, []int{whole}},
		"TLS, at once":          {false, nil, nil, []int{step, step, step, whole - 3*step}},
		"TLS, a step too slow":  {false, []take{{-1, nil}, {1000, timedOut()}}, os.ErrDeadlineExceeded, []int{step, step}},
		"TLS, broken":           {false, []take{{-1, nil}, {0, reset}}, reset, []int{step, step}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const patience = time.Hour
			conn := &slowConn{takes: tt.takes}
			c := newConn(conn, nil, true, 0, tt.single)
			err := c.Write(Binary, make([]byte, Headroom+size), patience)
			if !errors.Is(err, tt.err) || !slices.Equal(conn.writes, tt.writes) {
				t.Fatalf("%v, writes of %d; want %v, %d", err, conn.writes, tt.err, tt.writes)
			}
			for _, d := range conn.deadlines {
				if d > patience || d < patience/2 {
					t.Errorf("a deadline in %v", d)
				}
			}
			if err != nil {
				// Whatever followed would be read as the rest of that message.
				n := len(conn.writes)
				if again := c.WriteSmall(Close, nil, patience); again != err || len(conn.writes) != n {
					t.Errorf("then another frame: %v", again)
				}
				return
			}
			got, _ := readAll(reading(&conn.out, false, size), size)
			if !sameMessages(got, []message{{Binary, make([]byte, size)}}) {
				t.Error("what was taken is not the message")
			}
		})
	}
}

// dialled is a TCP connection whose peer reads nothing.
func dialled(t *testing.T) net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return conn
}

// Only TCP itself can go on after a deadline, and not everywhere.
func TestWhoMayGoOn(t *testing.T) {
	t.Parallel()
	conn := dialled(t)
	if got, want := New(conn, nil, true, 0).single, runtime.GOOS != "windows"; got != want {
		t.Errorf("TCP: %v, want %v", got, want)
	}
	if New(tls.Client(conn, &tls.Config{ServerName: "x"}), nil, true, 0).single {
		t.Error("TLS may go on, too")
	}
}

// countingConn counts the writes of a connection.
type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// Real TCP says how much of a write that timed out has gone: what its buffers take is
// progress, so that another try is made, which makes none.
func TestPeerThatReadsNothing(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a write that timed out is the end there")
	}
	conn := &countingConn{Conn: dialled(t)}
	c := newConn(conn, nil, false, 0, true)
	err := c.Write(Binary, make([]byte, 64<<20), 20*time.Millisecond)
	if !errors.Is(err, os.ErrDeadlineExceeded) || conn.writes < 2 {
		t.Errorf("%v after %d writes", err, conn.writes)
	}
}
