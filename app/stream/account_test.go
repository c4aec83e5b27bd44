package stream

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"culvert/app/exchange"
)

// budget is a number of bytes that may be held.
type budget struct {
	t    *testing.T
	left atomic.Int64
	held atomic.Int64
}

func newBudget(t *testing.T, n int64) *budget {
	b := &budget{t: t}
	b.left.Store(n)
	return b
}

func (b *budget) reserve(n int64) bool {
	if n <= 0 {
		b.t.Errorf("%d bytes were reserved", n)
	}
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	b.held.Add(n)
	return true
}

func (b *budget) release(n int64) {
	b.left.Add(n)
	if n <= 0 || b.held.Add(-n) < 0 {
		b.t.Errorf("%d bytes were released", n)
	}
}

// TestChargeWebSocket checks that what is held is paid for.
func TestChargeWebSocket(t *testing.T) {
	t.Parallel()
	const v = exchange.FromVisitor
	body := strings.Repeat("x", 1<<20)
	for _, test := range []struct {
		name        string
		first       byte
		least, most int64
	}{{"plain", opText, MaxData, MaxData}, {"compressed", rsv1 | opText, maxCompressed, maxCompressed}} {
		b := newBudget(t, 1<<30)
		w := NewWebSocket(nil, sharing(""))
		w.Charge(b.reserve, b.release)
		wire := wsFrame(fin|test.first, 7, body)
		decode(w, v, wire[:len(wire)-1], 4<<10)
		if held := b.held.Load(); held < test.least || held > test.most {
			t.Errorf("%s: of an unfinished message %d bytes are paid for", test.name, held)
		}
		w.Close()
		if held := b.held.Load(); held != 0 {
			t.Errorf("%s: after Close %d bytes are paid for", test.name, held)
		}
	}
}

func TestChargeContext(t *testing.T) {
	t.Parallel()
	const s = exchange.FromService
	b := newBudget(t, 1<<30)
	w := NewWebSocket(nil, sharing(""))
	w.Charge(b.reserve, b.release)
	var c deflated
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		words := make([]byte, 10_000)
		for j := range words {
			words[j] = 'a' + byte(random.IntN(20))
		}
		got := decode(w, s, c.frame(string(words)), 1000)
		if len(got) != 1 || string(got[0].Data) != string(words) {
			t.Fatalf("message %d came as %d messages", i, len(got))
		}
	}
	if held := b.held.Load(); held < window || held > 2*window {
		t.Errorf("for the context %d bytes are paid for", held)
	}
	decode(w, s, bytes.Repeat([]byte{0xff}, 14), 1)
	if held := b.held.Load(); held != 0 || !w.Broken() {
		t.Errorf("once it is broken %d bytes are paid for", held)
	}
	w.Close()
}

// TestChargeRefused checks that without a budget there are sizes.
func TestChargeRefused(t *testing.T) {
	t.Parallel()
	const v, s = exchange.FromVisitor, exchange.FromService
	w := NewWebSocket(nil, sharing(""))
	b := newBudget(t, 1000)
	w.Charge(b.reserve, b.release)
	got := decode(w, v, slices.Concat(wsFrame(fin|opText, 1, "short"), wsFrame(fin|opText, 2, strings.Repeat("x", 5000)), wsFrame(fin|opText, 3, "again")), 700)
	if len(got) != 3 || string(got[0].Data) != "short" || len(got[1].Data) != 0 || got[1].Size != 5000 || !got[1].Truncated || string(got[2].Data) != "again" {
		t.Errorf("frames: %+v", got)
	}
	var c deflated
	for i, want := range []string{"short", "", ""} {
		text := want
		if i == 1 {
			text = strings.Repeat("long ", 1000) // there is no room for the context
		} else if i == 2 {
			text = "another"
		}
		got := decode(w, s, c.frame(text), 1<<20)
		if i == 1 {
			want = text
		}
		if len(got) != 1 || string(got[0].Data) != want || got[0].Truncated != (i == 2) {
			t.Errorf("message %d: %+v", i, got)
		}
	}
	w.Close()
	if held := b.held.Load(); held != 0 || w.Broken() {
		t.Errorf("%d bytes are paid for at the end, broken: %v", held, w.Broken())
	}

	e := NewEvents(nil)
	b = newBudget(t, 1000)
	e.Charge(b.reserve, b.release)
	got = decode(e, s, []byte("data: "+strings.Repeat("x", 2000)+"\ndata: y\n\ndata: z\n\ndata: unfinished"), 100)
	if len(got) != 2 || len(got[0].Data) != 0 || got[0].Size != 2002 || !got[0].Truncated || string(got[1].Data) != "z" {
		t.Errorf("events: %+v", got)
	}
	if b.held.Load() == 0 {
		t.Error("an unfinished event is not paid for")
	}
	e.Close()
	if held := b.held.Load(); held != 0 {
		t.Errorf("%d bytes are paid for at the end", held)
	}
}

func TestChargeCodings(t *testing.T) {
	t.Parallel()
	for name, cost := range map[string]int64{"gzip": 64 << 10, "br": 4 << 20, "zstd": 8 << 20} {
		var wire bytes.Buffer
		w := encoder(t, name, &wire)
		w.Write([]byte("data: x\n\n"))
		w.Flush()
		for _, room := range []int64{cost + leastRoom, cost - 1} {
			b := newBudget(t, room)
			e := NewEvents(http.Header{"Content-Encoding": {name}})
			e.Charge(b.reserve, b.release)
			got := decode(e, exchange.FromService, wire.Bytes(), 100)
			if enough := room >= cost; enough != (len(got) == 1) || enough == e.Broken() {
				t.Errorf("%s with %d bytes: %+v, broken: %v", name, room, got, e.Broken())
			}
			e.Close()
			if b.left.Load() != room {
				t.Errorf("%s: at the end %d of %d bytes are left", name, b.left.Load(), room)
			}
		}
	}
}
