package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// endless gives the same pseudo-random bytes each time.
func endless() io.Reader { return rand.NewChaCha8([32]byte{1}) }

// sameBytes reads r to its end and compares it with the first n bytes of endless.
func sameBytes(r io.Reader, n int64) error {
	want := bufio.NewReaderSize(io.LimitReader(endless(), n), 64<<10)
	got := make([]byte, 64<<10)
	expected := make([]byte, 64<<10)
	var total int64
	for {
		k, err := r.Read(got)
		if k > 0 {
			if _, short := io.ReadFull(want, expected[:k]); short != nil {
				return fmt.Errorf("more than %d bytes", n)
			}
			if !bytes.Equal(got[:k], expected[:k]) {
				return fmt.Errorf("other bytes between %d and %d", total, total+int64(k))
			}
			total += int64(k)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", total, err)
		}
	}
	if total != n {
		return fmt.Errorf("%d bytes, want %d", total, n)
	}
	return nil
}

// bulk is a local service for long bodies.
type bulk struct {
	stalledOut atomic.Int64  // bytes that the stalled download has taken off the service
	release    chan struct{} // closed when /stalled/up is to read its body
}

func (b *bulk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
	switch r.URL.Path {
	case "/down":
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.Copy(w, io.LimitReader(endless(), n))
	case "/stalled/down":
		in := io.LimitReader(endless(), n)
		buf := make([]byte, 32<<10)
		for {
			k, err := in.Read(buf)
			if err != nil {
				return
			}
			if _, err := w.Write(buf[:k]); err != nil {
				return
			}
			b.stalledOut.Add(int64(k))
		}
	case "/stalled/up":
		select {
		case <-b.release:
		case <-r.Context().Done():
		}
		fallthrough
	case "/up":
		if err := sameBytes(r.Body, n); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// TestFlow moves long bodies both ways beside a visitor and a local service
// that have stopped reading. Those hold up nobody but themselves, nothing piles
// up in memory, and in the end they lose nothing.
func TestFlow(t *testing.T) {
	t.Parallel()
	const (
		long    = 200 << 20
		stalled = 64 << 20
		ahead   = 32 << 20 // what sockets and windows may take of a stalled body
		growth  = 64 << 20 // of a process over its idle size
	)
	service := &bulk{release: make(chan struct{})}
	r, a := tunnel(t, service)
	mustGet(t, http.StatusOK, a.path("/down?n=1"))
	idle := map[*process]int64{r.process: r.memory(t, "VmRSS"), a.process: a.memory(t, "VmRSS")}

	// A visitor who does not read.
	slow, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.(*net.TCPConn).SetReadBuffer(64 << 10)
	fmt.Fprintf(slow, "GET /%s/stalled/down?n=%d HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", a.id(), stalled, r.addr())
	// A local service that does not read.
	uploaded := make(chan error, 1)
	var sent atomic.Int64
	go func() { uploaded <- upload(t, a.path("/stalled/up"), stalled, &sent) }()
	eventually(t, func() error {
		if service.stalledOut.Load() == 0 || sent.Load() == 0 {
			return fmt.Errorf("the stalled transfers have not begun")
		}
		return nil
	})

	done := make(chan error, 2)
	go func() { done <- download(t, a.path("/down"), long) }()
	go func() { done <- upload(t, a.path("/up"), long, new(atomic.Int64)) }()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}

	if n := service.stalledOut.Load(); n > ahead {
		t.Errorf("%d bytes were taken off the service for a visitor who reads none", n)
	}
	if n := sent.Load(); n > ahead {
		t.Errorf("%d bytes were taken off a visitor for a service that reads none", n)
	}
	for p, size := range idle {
		peak := p.memory(t, "VmHWM")
		t.Logf("%s: %d KB idle, %d KB at most", p.cmd.Args[1], size>>10, peak>>10)
		if peak-size > growth {
			t.Errorf("%s grew from %d KB to %d KB", p.cmd.Args[1], size>>10, peak>>10)
		}
	}

	close(service.release)
	if err := <-uploaded; err != nil {
		t.Errorf("the stalled upload: %v", err)
	}
	_ = slow.SetDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatalf("the stalled download: %v", err)
	}
	defer resp.Body.Close()
	if err := sameBytes(resp.Body, stalled); err != nil {
		t.Errorf("the stalled download: %v", err)
	}
}

func download(t testing.TB, url string, n int64) error {
	resp, err := newClient(t).Get(fmt.Sprintf("%s?n=%d", url, n))
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != n {
		return fmt.Errorf("download: %s, %d bytes announced", resp.Status, resp.ContentLength)
	}
	if err := sameBytes(resp.Body, n); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return nil
}

// upload sends a body of unknown length and counts what has gone out.
func upload(t testing.TB, url string, n int64, sent *atomic.Int64) error {
	body := io.TeeReader(io.LimitReader(endless(), n), countWriter{sent})
	resp, err := newClient(t).Post(fmt.Sprintf("%s?n=%d", url, n), "application/octet-stream", io.NopCloser(body))
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("upload: %s, %w: %s", resp.Status, err, text)
	}
	return nil
}

type countWriter struct{ n *atomic.Int64 }

func (c countWriter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// TestManyVisitors has many visitors at once, each with an answer of its own.
func TestManyVisitors(t *testing.T) {
	t.Parallel()
	const visitors = 200
	var waiting atomic.Int64
	all := make(chan struct{})
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if waiting.Add(1) == visitors {
			close(all) // so they are truly at once
		}
		select {
		case <-all:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, r.URL.Path)
	}))
	errs := make(chan error, visitors)
	for i := range visitors {
		go func() {
			path := "/" + strconv.Itoa(i)
			got, err := get(t, a.path(path))
			if err == nil && (got.status != http.StatusOK || got.body != path) {
				err = fmt.Errorf("%s: status %d, body %q", path, got.status, got.body)
			}
			errs <- err
		}()
	}
	for range visitors {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
