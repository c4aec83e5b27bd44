package mux

import (
	"bytes"
	"io"
	"sync"
	"testing"

	"culvert/backend/wire"
)

// A stream that nobody reads stops its own writer, at the window's end, and
// neither other streams nor the connection.
func TestStalledStreamStallsNoOther(t *testing.T) {
	t.Parallel()
	const stalled = 20
	sent := make(chan int, stalled)
	backend, agent := pair(t, func(s *Stream) {
		if s.Request().Target != "/stall" {
			echo(s)
			return
		}
		s.WriteHead(ok(), false)
		n, err := s.Write(make([]byte, 4<<20))
		wantReset(t, err, wire.ResetCancel)
		sent <- n
	})
	var stuck []*Stream
	for range stalled {
		s := open(t, backend, get("/stall"), true)
		readHead(t, s)
		stuck = append(stuck, s)
	}
	body := bytes.Repeat([]byte("0123456789"), 30_000)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			s, err := backend.Open(post("/echo"), false)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Reset(wire.ResetCancel, "")
			wg.Go(func() {
				if _, err := s.WriteLast(body); err != nil {
					t.Error(err)
				}
			})
			if _, err := s.ReadHead(t.Context()); err != nil {
				t.Error(err)
				return
			}
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, body) {
				t.Errorf("echo of %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	for _, s := range stuck {
		if n, ended := s.Buffered(); n > wire.InitialWindow || ended {
			t.Errorf("stalled stream has %d bytes buffered, the window is %d", n, wire.InitialWindow)
		}
		s.Reset(wire.ResetCancel, "")
	}
	for range stalled {
		// Write counts what left into the window, which nobody has read.
		if n := receive(t, sent, "stalled writer"); n != wire.InitialWindow {
			t.Errorf("stalled writer sent %d bytes, want %d", n, wire.InitialWindow)
		}
	}
	if err := agent.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// The window of a stream whose reader keeps up grows to the maximum and no
// further, its growth comes out of the connection's budget and goes back there.
func TestWindowGrowsWithinBudget(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.WriteLast(make([]byte, 16<<20))
	})
	grow := func(s *Stream) (window int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		// One payload may be on its way from the socket into the buffer.
		if sum := s.allowed + s.in.size + s.consumed; sum > s.window || sum < s.window-wire.MaxData {
			t.Errorf("window of %d: %d allowed, %d buffered, %d consumed", s.window, s.allowed, s.in.size, s.consumed)
		}
		return s.window
	}
	s := open(t, backend, get("/"), true)
	readHead(t, s)
	largest := 0
	for buf := make([]byte, 256<<10); ; {
		_, err := s.Read(buf)
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if _, ended := s.Buffered(); !ended {
			largest = max(largest, grow(s))
		}
	}
	if largest <= wire.InitialWindow || largest > maxStreamWindow {
		t.Errorf("window grew to %d, want more than %d and at most %d", largest, wire.InitialWindow, maxStreamWindow)
	}
	if got := backend.budget.Load(); got != windowBudget {
		t.Errorf("%d bytes of the budget are missing after the end", windowBudget-got)
	}

	// With the budget used up, the window keeps its first size.
	backend.budget.Store(0)
	s = open(t, backend, get("/"), true)
	readHead(t, s)
	for buf, n := make([]byte, 256<<10), 0; n < 4<<20; {
		m, err := s.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		n += m
		if w := grow(s); w != wire.InitialWindow {
			t.Fatalf("window grew to %d without a budget", w)
		}
	}
	s.Reset(wire.ResetCancel, "")
	if got := backend.budget.Load(); got != 0 {
		t.Errorf("budget is %d, want 0", got)
	}
}

func TestResetReturnsBudgetAndMemory(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.Write(make([]byte, 16<<20))
	})
	s := open(t, backend, get("/"), true)
	readHead(t, s)
	if _, err := io.CopyN(io.Discard, s, 8<<20); err != nil {
		t.Fatal(err)
	}
	s.Reset(wire.ResetCancel, "")
	if got := backend.budget.Load(); got != windowBudget {
		t.Errorf("%d bytes of the budget are missing", windowBudget-got)
	}
	if n, _ := s.Buffered(); n != 0 {
		t.Errorf("%d bytes are buffered after a reset", n)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("read after a reset")
	}
}

func TestBufferSharesChunksBetweenSmallPayloads(t *testing.T) {
	t.Parallel()
	var pool chunkPool
	b := buffer{pool: &pool}
	var want []byte
	for i := range wire.InitialWindow {
		b.copyIn([]byte{byte(i)})
		want = append(want, byte(i))
	}
	chunks := 0
	for k := b.first; k != nil; k = k.next {
		chunks += len(k.buf)
	}
	if chunks > wire.InitialWindow {
		t.Errorf("%d single bytes take %d bytes of buffers", wire.InitialWindow, chunks)
	}
	got := make([]byte, len(want)+1)
	if n := b.copyOut(got); !bytes.Equal(got[:n], want) || b.size != 0 || b.first != nil || b.last != nil {
		t.Errorf("%d of %d bytes came out, %d left", n, len(want), b.size)
	}
}

func TestChunkClasses(t *testing.T) {
	t.Parallel()
	var pool chunkPool
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 8193, 16384, 16385, 32769, wire.MaxData} {
		k := pool.get(n)
		if len(k.buf) < n || (n > minChunk && len(k.buf) >= 2*n) {
			t.Errorf("chunk of %d bytes for %d", len(k.buf), n)
		}
		k.w, k.r = n, 1
		pool.put(k)
		if again := pool.get(len(k.buf)); len(again.buf) != len(k.buf) || again.r != 0 || again.w != 0 {
			t.Errorf("chunk of %d came back with %d bytes, %d:%d", len(k.buf), len(again.buf), again.r, again.w)
		}
	}
}
