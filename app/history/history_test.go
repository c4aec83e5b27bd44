package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

// patience bounds waits for what ought to happen soon; a passing test never uses it up.
const patience = 60 * time.Second

// begin is when the exchanges of tests start; recent, because old ones are removed.
var begin = time.Now().Add(-time.Hour).Truncate(time.Microsecond)

// sample is an exchange of which everything is set.
func sample(n int) *exchange.Exchange {
	return &exchange.Exchange{
		ID: fmt.Sprintf("id-%06d", n), Tunnel: "shop", Target: "http://localhost:3000", URL: "https://shop.example.com/orders?page=2",
		Start: begin.Add(time.Duration(n) * time.Millisecond), Duration: 12 * time.Millisecond, Waited: 9 * time.Millisecond,
		RemoteAddr: "203.0.113.7", Method: "POST", Path: fmt.Sprintf("/orders/%d?page=2", n), Host: "shop.example.com", Status: 201,
		Request: exchange.Message{
			Header: http.Header{"Content-Type": {"application/json"}, "X-Two": {"a", "b"}}, Body: []byte(`{"article":"Umbrella"}`), Size: 22,
		},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("thank you"), Size: 9},
	}
}

func begun(t testing.TB, cfg Config) *History {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "history.db")
	}
	h, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, h) })
	return h
}

func shut(t testing.TB, h *History) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func flush(t testing.TB, h *History) {
	t.Helper()
	if err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAnExchangeSurvivesWhole(t *testing.T) {
	t.Parallel()
	want := sample(1)
	want.Upgrade, want.Err, want.Detail, want.NoTarget, want.ReplayOf, want.Open = "websocket", "it broke", "read tcp: reset", true, "id-0", true
	want.Request.Truncated, want.Response.Dropped, want.Skipped = true, true, 3
	want.Response.Body = nil
	want.Messages = []exchange.StreamMessage{
		{Time: begin, From: exchange.FromService, Kind: exchange.Event, Name: "tick", LastID: "7", Data: []byte("one"), Size: 3},
		{Time: begin.Add(time.Second), Kind: exchange.Binary, Data: []byte{0, 1, 0xff}, Size: 9, Truncated: true},
	}
	h := begun(t, Config{Limits: Limits{Secrets: true}})
	h.Add(want)
	flush(t, h)
	got, err := h.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from the history (-want +got):\n%s", diff)
	}
	if _, err := h.Get(t.Context(), "id-none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown ID gives %v, want ErrNotFound", err)
	}
}

// Nothing that strangers send is too odd to be stored, and nothing of it is taken
// for a part of the database's language.
func TestOddBytesSurvive(t *testing.T) {
	t.Parallel()
	want := sample(1)
	want.ID, want.Path, want.Method = `'; DROP TABLE exchanges; --`, "/\xff\x00\xc3('%_\n", "G\x00T"
	want.RemoteAddr, want.Host, want.Err = "", "ex\u00e4mple", "\xe2\x28"
	want.Request.Header = http.Header{"x-lower": {"\xe4\xff", "", "a: b"}, "X-Empty": {""}}
	want.Response.Header = nil
	want.Request.Body = []byte{0, 1, 2, 0xff}
	want.Response.Body = nil
	h := begun(t, Config{Limits: Limits{Secrets: true}})
	h.Add(want)
	flush(t, h)
	got, err := h.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from the history (-want +got):\n%s", diff)
	}
}

func TestHistorySurvivesRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "folder", "a b?c#d%20é.db")
	for n := range 3 {
		h := begun(t, Config{Path: path})
		h.Add(sample(n))
		shut(t, h) // writes what is waiting
	}
	h := begun(t, Config{Path: path})
	p, err := h.Search(t.Context(), Query{})
	if want := []string{sample(2).ID, sample(1).ID, sample(0).ID}; err != nil || !slices.Equal(idsOf(p.Rows), want) {
		t.Errorf("after three runs there are %v, %v; want %v", idsOf(p.Rows), err, want)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 3 || !s.Oldest.Equal(sample(0).Start) || s.Bytes == 0 || s.Dropped != 0 {
		t.Errorf("stats are %+v, %v", s, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s%s has mode %v, %v; want 0600", path, suffix, info.Mode(), err)
		}
	}
}

// A file that others could read is for its owner only from now on.
func TestFileBecomesPrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return
	}
	path := filepath.Join(t.TempDir(), "history.db")
	shut(t, begun(t, Config{Path: path}))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	begun(t, Config{Path: path})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v; want 0600", info.Mode(), err)
	}
}

// A stream is added while it goes on, and again at its end.
func TestExchangeIsReplaced(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	open := sample(1)
	open.Open, open.Status = true, 101
	open.Messages = []exchange.StreamMessage{{Time: begin, Data: []byte("one")}, {Time: begin, Data: []byte("two")}}
	h.Add(open)
	h.Add(sample(2))
	flush(t, h)
	whole := *open
	whole.Open, whole.Duration = false, time.Minute
	whole.Messages = append(slices.Clone(open.Messages[1:]), exchange.StreamMessage{Time: begin, Data: []byte("three")})
	whole.Skipped = 1
	h.Add(&whole)
	// Only the ID is the same: a counter that has begun again.
	stranger := sample(3)
	stranger.ID = open.ID
	h.Add(stranger)
	flush(t, h)
	p, err := h.Search(t.Context(), Query{})
	if err != nil || len(p.Rows) != 3 || p.Rows[0].Path != stranger.Path || p.Rows[0].ID == stranger.ID || p.Rows[2].ID != open.ID {
		t.Fatalf("there are %+v, %v; want the stranger under another ID, the second, and the first in its place", p.Rows, err)
	}
	got, err := h.Get(t.Context(), open.ID)
	if err != nil || got.Open || got.Duration != time.Minute || len(got.Messages) != 2 || string(got.Messages[1].Data) != "three" || got.Skipped != 1 {
		t.Errorf("the stream is %+v, %v; want it as it was at its end", got, err)
	}
}

// A stream that is added again while it waits to be written is written once, and its
// end stays even if an earlier state comes after it.
func TestOpenExchangeIsAddedAgain(t *testing.T) {
	t.Parallel()
	state := func(messages int, open bool) *exchange.Exchange {
		x := sample(1)
		x.Open = open
		x.Messages = make([]exchange.StreamMessage, messages)
		return x
	}
	q := newQueue()
	q.add(sample(0))
	for n := range 3 * maxQueued {
		if !q.add(state(n%10, true)) {
			t.Fatal("there is no room for another state of the same stream")
		}
	}
	q.add(state(50, false))
	if q.length() != 2 || q.bytes != exchange.Weight(sample(0))+exchange.Weight(state(50, false)) {
		t.Errorf("%d exchanges of %d bytes are waiting; want the first, and the end of the stream", q.length(), q.bytes)
	}
	q.next()
	if x := q.next(); x.Open || len(x.Messages) != 50 || len(q.open) != 0 {
		t.Errorf("the stream is %+v", x)
	}
	q.add(state(1, true))
	q.next()
	q.add(state(2, true))
	if x := q.next(); x == nil || len(x.Messages) != 2 {
		t.Errorf("after it left, it comes back as %+v", x)
	}

	h := begun(t, Config{})
	for _, x := range []*exchange.Exchange{state(1, true), state(3, false), state(2, true)} {
		h.Add(x)
		flush(t, h)
	}
	got, err := h.Get(t.Context(), sample(1).ID)
	if err != nil || got.Open || len(got.Messages) != 3 {
		t.Errorf("the stream is %+v, %v; want it as it was at its end", got, err)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 1 {
		t.Errorf("there are %d exchanges, %v; want 1", s.Exchanges, err)
	}
}

func TestExchangeWithoutIDGetsOne(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	for range 2 {
		x := sample(1)
		x.ID = ""
		h.Add(x)
	}
	flush(t, h)
	p, err := h.Search(t.Context(), Query{})
	if err != nil || len(p.Rows) != 2 || p.Rows[0].ID == p.Rows[1].ID || len(p.Rows[0].ID) != 36 {
		t.Fatalf("IDs are %v, %v", idsOf(p.Rows), err)
	}
	if _, err := h.Get(t.Context(), p.Rows[0].ID); err != nil {
		t.Error(err)
	}
}

// With a disk that does not answer, Add returns all the same. What finds no room is
// counted, and everything else is there in the end.
func TestAddNeverWaits(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	blocker, err := connect(h.cfg.Path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	if _, err := blocker.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	const offered = 3 * maxQueued
	for n := range offered {
		h.Add(sample(n))
	}
	if h.Dropped() == 0 {
		t.Error("nothing was dropped: the queue has no end")
	}
	if _, err := blocker.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	flush(t, h)
	s, err := h.Stats(t.Context())
	if err != nil || s.Exchanges+s.Dropped != offered || s.Exchanges < maxQueued {
		t.Errorf("of %d, %d are stored and %d dropped, %v", offered, s.Exchanges, s.Dropped, err)
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	q := newQueue()
	big := heavy(1, 1<<20)
	n := 0
	for q.add(big) {
		n++
	}
	if int64(n) != maxQueuedBytes/exchange.Weight(big) {
		t.Errorf("the queue takes %d exchanges of 1 MB", n)
	}
	if q.empty(); !q.add(&exchange.Exchange{Request: exchange.Message{Body: bytes.Repeat([]byte("x"), maxQueuedBytes+1)}}) {
		t.Error("an empty queue does not take what is larger than it")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	h.Add(sample(1))
	shut(t, h)
	shut(t, h)
	h.Add(sample(2))
	if h.Dropped() != 1 {
		t.Errorf("%d dropped; want the one after closing", h.Dropped())
	}
	_, err := h.Search(t.Context(), Query{})
	_, err2 := h.Get(t.Context(), "x")
	_, err3 := h.Stats(t.Context())
	for i, err := range []error{err, err2, err3, h.Flush(t.Context()), h.Clear(t.Context())} {
		if !errors.Is(err, errClosed) {
			t.Errorf("method %d: %v, want %v", i, err, errClosed)
		}
	}
	if err := h.SetLimits(Limits{}); err != nil {
		t.Error(err)
	}
}

// While nothing is recorded, what was kept before is looked after all the same.
func TestNothingIsRecordedWhilePaused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	h := begun(t, Config{Path: path})
	old := sample(1)
	old.Start = time.Now().Add(-3 * 24 * time.Hour)
	h.Add(old)
	h.Add(sample(2))
	h.SetRecording(false) // what was added before is stored
	h.Add(sample(3))
	shut(t, h)

	h = begun(t, Config{Path: path, Paused: true})
	h.Add(sample(4))
	flush(t, h)
	p, err := h.Search(t.Context(), Query{})
	if want := []string{sample(2).ID, old.ID}; err != nil || !slices.Equal(idsOf(p.Rows), want) {
		t.Errorf("there are %v, %v; want %v", idsOf(p.Rows), err, want)
	}
	if err := h.SetLimits(Limits{MaxAge: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool {
		s, err := h.Stats(t.Context())
		return err == nil && s.Exchanges == 1 && s.Bytes > 0 && s.Dropped == 0
	})
	h.SetRecording(true)
	h.Add(sample(5))
	flush(t, h)
	p, err = h.Search(t.Context(), Query{})
	if want := []string{sample(5).ID, sample(2).ID}; err != nil || !slices.Equal(idsOf(p.Rows), want) {
		t.Errorf("recording again, there are %v, %v; want %v", idsOf(p.Rows), err, want)
	}
	h.SetRecording(false)
	if err := h.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 0 {
		t.Errorf("after clearing there are %d exchanges, %v", s.Exchanges, err)
	}
}

// Whoever does not want to wait for the disk need not.
func TestCloseInAHurry(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	blocker, err := connect(h.cfg.Path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	if _, err := blocker.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	for n := range 2 * maxBatch {
		h.Add(sample(n))
	}
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Close(hurry); !errors.Is(err, context.Canceled) {
		t.Errorf("closing in a hurry gives %v, want %v", err, context.Canceled)
	}
	<-h.done
	if h.Dropped() != 2*maxBatch {
		t.Errorf("%d are dropped, want %d", h.Dropped(), 2*maxBatch)
	}
}

// Everybody at once: for the race detector.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	var all sync.WaitGroup
	for worker := range 3 {
		all.Go(func() {
			for n := range 300 {
				h.Add(sample(worker*1000 + n))
			}
		})
		all.Go(func() {
			for n := range 20 {
				if _, err := h.Search(t.Context(), Query{Text: "umbrella", Limit: 20}); err != nil {
					t.Error(err)
				}
				if _, err := h.Get(t.Context(), sample(n).ID); err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
				if _, err := h.Stats(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range 5 {
		if err := h.SetLimits(Limits{MaxBytes: int64(n+1) << 20}); err != nil {
			t.Error(err)
		}
		if err := h.Clear(t.Context()); err != nil && !errors.Is(err, errTraces) {
			t.Error(err)
		}
	}
	all.Wait()
	flush(t, h)
	integral(t, h)
}

// Whatever strangers put into a header, it changes at most once, and no field becomes
// two. Not a fuzz target: the database would be built for fuzzing as well, which takes
// minutes.
func TestHeadersOfAnyKind(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		const pieces = "aA-: \r\n\x00\xff\u00e9,\t"
		b := make([]byte, random.IntN(12))
		for i := range b {
			b[i] = pieces[random.IntN(len(pieces))]
		}
		return string(b)
	}
	for range 20000 {
		name := text()
		h := http.Header{name: {text(), text()}}
		first := decodeHeader(encodeHeader(h))
		if again := decodeHeader(encodeHeader(first)); !cmp.Equal(first, again) {
			t.Fatalf("%q became %q and then %q", h, first, again)
		}
		if len(first) > 1 || len(first[name]) != len(first)*2 {
			t.Fatalf("%q became %q", h, first)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, body := range []int{200, 20 << 10} {
		b.Run(fmt.Sprintf("%d-byte-bodies", body), func(b *testing.B) {
			h := begun(b, Config{})
			x := heavy(1, body)
			x.ID = ""
			b.ReportAllocs()
			for n := range b.N {
				h.Add(x)
				if n%manyQueued == 0 {
					flush(b, h)
				}
			}
			flush(b, h)
			b.ReportMetric(float64(b.N-int(h.Dropped()))/b.Elapsed().Seconds(), "stored/s")
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	h := begun(b, Config{})
	const n = 20000
	for i := range n {
		x := heavy(i, 4<<10)
		h.Add(x)
		if i%manyQueued == 0 {
			flush(b, h)
		}
	}
	flush(b, h)
	for _, q := range []Query{{}, {Text: "nowhere", RowsOnly: true}, {Text: "nowhere"}} {
		b.Run(fmt.Sprintf("%q-%v", q.Text, q.RowsOnly), func(b *testing.B) {
			for b.Loop() {
				if _, err := h.Search(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
