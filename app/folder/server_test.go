package folder

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestServer(t *testing.T) {
	t.Parallel()
	dir := site(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	write(t, filepath.Join(dir, "big.txt"), string(big))
	s := NewServer(dir, nil)
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) },
	}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, want := range []struct {
				path string
				body []byte
			}{{"/", []byte("<h1>home</h1>")}, {"/big.txt", big}} {
				r, err := client.Get("http://localhost" + want.path)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || !bytes.Equal(got, want.body) {
					t.Errorf("%s: %d bytes, %v", want.path, len(got), err)
				}
			}
		})
	}
	wg.Wait()
	// An upload that nobody reads does not hold up the answer.
	c, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n"+string(big[:20000]))
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("an upload: %v, %v", r, err)
	}
	s.Close()
	s.Close()
	if _, err := s.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling a closed server: %v", err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("a cut connection: %v", err)
	}
}

func TestDialGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ln := &listener{accept: make(chan net.Conn), closed: make(chan struct{})}
	if _, err := ln.dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestPipe sends random data both ways at once, in pieces of random size.
func TestPipe(t *testing.T) {
	t.Parallel()
	a, b := newPipe()
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	send := func(to *pipe, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		for left := data; len(left) > 0; {
			n := min(len(left), r.IntN(3*pipeBuffer)+1)
			if m, err := to.Write(left[:n]); err != nil || m != n {
				t.Error(m, err)
				return
			}
			left = left[n:]
		}
		to.CloseWrite()
	}
	receive := func(from *pipe, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		var got []byte
		for {
			p := make([]byte, r.IntN(2*pipeBuffer)+1)
			n, err := from.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, and others", len(got))
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { send(a, 1) })
	wg.Go(func() { send(b, 2) })
	wg.Go(func() { receive(a, 3) })
	wg.Go(func() { receive(b, 4) })
	wg.Wait()
}

func TestPipeDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe()
		defer a.Close()
		defer b.Close()
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Minute))
		a.SetReadDeadline(start.Add(time.Second)) // the last one counts
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		if err := a.SetReadDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		b.Write([]byte("x"))
		if n, err := a.Read(make([]byte, 5)); n != 1 || err != nil {
			t.Errorf("read after the deadline was taken away: %d, %v", n, err)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, pipeBuffer+1)); n != pipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write to nobody: %d, %v", n, err)
		}
		done := make(chan error)
		go func() {
			_, err := b.Write(make([]byte, 2*pipeBuffer))
			done <- err
		}()
		synctest.Wait()
		b.SetDeadline(time.Unix(1, 0)) // as whoever gives up does
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
}

func TestPipeEnds(t *testing.T) {
	t.Parallel()
	a, b := newPipe()
	a.Write([]byte("last"))
	a.Close()
	if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write to a closed one: %v", err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write by a closed one: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read by a closed one: %v", err)
	}
	if n := a.LocalAddr().String() + b.RemoteAddr().Network(); n != "memorymemory" {
		t.Errorf("address %q", n)
	}
}
