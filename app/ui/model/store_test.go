package model

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func ids(rows []*Request) []uint64 {
	var out []uint64
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out
}

func TestStoreKeepsTheYoungestRequests(t *testing.T) {
	t.Parallel()
	s := NewStore()
	for range Capacity + 7 {
		s.AddRequest(&Request{Tunnel: "a"})
	}
	rows, news := s.Since(0, 0, nil)
	last := news.Last
	if len(rows) != Capacity || rows[0].ID != 8 || last != Capacity+7 {
		t.Fatalf("kept %d rows from %d to %d; want %d rows from 8 to %d", len(rows), rows[0].ID, last, Capacity, Capacity+7)
	}
	for i, r := range rows[1:] {
		if r.ID != rows[i].ID+1 {
			t.Fatalf("row %d has ID %d after %d", i+1, r.ID, rows[i].ID)
		}
	}
	rows, _ = s.Since(last-2, 0, nil)
	if diff := cmp.Diff([]uint64{last - 1, last}, ids(rows)); diff != "" {
		t.Errorf("rows younger than %d (-want +got):\n%s", last-2, diff)
	}
}

func TestStoreClears(t *testing.T) {
	t.Parallel()
	s := NewStore()
	for i := range Capacity + 4 {
		s.AddRequest(&Request{Tunnel: fmt.Sprint(i % 2)})
	}
	_, before := s.Since(0, 0, nil)
	s.ClearRequests("0")
	rows, after := s.Since(0, 0, nil)
	last := after.Last
	if len(rows) != Capacity/2 || before.Epoch == after.Epoch {
		t.Fatalf("%d rows, epoch %d then %d; want half the rows and another epoch", len(rows), before.Epoch, after.Epoch)
	}
	for _, r := range rows {
		if r.Tunnel != "1" {
			t.Fatal("a cleared tunnel's row is still there")
		}
	}
	s.AddRequest(&Request{Tunnel: "1"})
	if rows, _ := s.Since(last, 0, nil); len(rows) != 1 || rows[0].ID != last+1 {
		t.Errorf("after clearing, new rows are %v; want one with ID %d", ids(rows), last+1)
	}
	s.ClearRequests("")
	if rows, _ := s.Since(0, 0, nil); len(rows) != 0 {
		t.Errorf("%d rows left after clearing all", len(rows))
	}
}

func TestRemovedTunnelLeavesNoRequests(t *testing.T) {
	t.Parallel()
	s := NewStore()
	for _, key := range []string{"a", "b"} {
		s.PutTunnel(Tunnel{Key: key})
		s.AddRequest(&Request{Tunnel: key})
	}
	_, before := s.Since(0, 0, nil)
	s.RemoveTunnel("a")
	rows, after := s.Since(0, 0, nil)
	if len(rows) != 1 || rows[0].Tunnel != "b" || before.Epoch == after.Epoch {
		t.Errorf("%d rows are left, epoch %d then %d", len(rows), before.Epoch, after.Epoch)
	}
}

// The warning of a tunnel that leads nowhere follows the last request.
func TestStoreWarns(t *testing.T) {
	t.Parallel()
	s := NewStore()
	online := Tunnel{Key: "a", State: Online}
	s.PutTunnel(online)
	down := Request{Tunnel: "a", Status: 503, Err: "nothing is listening", NoTarget: true}
	warning := func() string { return s.Tunnels()[0].Warning }
	add := func(r Request) { s.AddRequest(&r) }
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"a failure", func() { add(down) }, down.Err},
		{"news of the link", func() { s.PutTunnel(online) }, down.Err},
		{"a visitor who left", func() { add(Request{Tunnel: "a"}) }, down.Err},
		{"another tunnel's success", func() { add(Request{Tunnel: "b", Status: 200}) }, down.Err},
		{"an answer", func() { add(Request{Tunnel: "a", Status: 404}) }, ""},
		{"a 503 of the service itself", func() { add(Request{Tunnel: "a", Status: 503}) }, ""},
		{"a failure again", func() { add(down) }, down.Err},
		{"stopping", func() { s.PutTunnel(Tunnel{Key: "a", State: Stopped}) }, ""},
	} {
		step.do()
		if got := warning(); got != step.want {
			t.Fatalf("after %s the warning is %q, want %q", step.name, got, step.want)
		}
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	got := Labels([]Tunnel{{Key: "1", Name: "shop"}, {Key: "2", Name: "localhost:3000", Detail: "a"}, {Key: "3", Name: "localhost:3000", Detail: "b"}, {Key: "4", Name: "localhost:3000"}})
	want := map[string]string{"1": "shop", "2": "a", "3": "b", "4": "localhost:3000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestStoreTunnels(t *testing.T) {
	t.Parallel()
	s := newStore(func() time.Time { return time.Unix(1, 0) })
	marked := func() bool {
		select {
		case <-s.Changed():
			return true
		default:
			return false
		}
	}
	s.PutTunnel(Tunnel{Key: "1", Name: "a"})
	s.PutTunnel(Tunnel{Key: "2", Name: "b"})
	if !marked() || marked() {
		t.Fatal("two changes must leave exactly one mark")
	}
	s.AddRequest(&Request{Tunnel: "2"})
	if marked() {
		t.Error("a request left a mark; the window would be woken by traffic")
	}
	s.PutTunnel(Tunnel{Key: "2", Name: "b"})
	if marked() {
		t.Error("an equal tunnel left a mark")
	}
	s.PutTunnel(Tunnel{Key: "1", Name: "a", State: Online})
	rate := make([]float32, RateBuckets)
	rate[RateBuckets-1] = 1
	want := []Tunnel{{Key: "1", Name: "a", State: Online}, {Key: "2", Name: "b", Requests: 1, Rate: rate}}
	if diff := cmp.Diff(want, s.Tunnels()); diff != "" {
		t.Errorf("tunnels (-want +got):\n%s", diff)
	}
	s.RemoveTunnel("1")
	s.RemoveTunnel("never there")
	if got := s.Tunnels(); len(got) != 1 || got[0].Key != "2" {
		t.Errorf("after removing: %v", got)
	}
}

func TestStoreNotices(t *testing.T) {
	t.Parallel()
	s := NewStore()
	for i := range 10 {
		s.AddNotice(fmt.Sprint("notice ", i))
		s.AddNotice(fmt.Sprint("notice ", i))
	}
	if text, n := s.Notice(); text != "notice 9" || n != maxNotices {
		t.Fatalf("latest %q of %d; want notice 9 of %d", text, n, maxNotices)
	}
	s.DismissNotice("notice 9")
	if text, _ := s.Notice(); text != "notice 8" {
		t.Errorf("after dismissing the latest: %q", text)
	}
}

// The engine's goroutines write while the window reads; the race detector watches,
// and no row may be lost or doubled.
func TestStoreUnderTraffic(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 1000 // fewer than Capacity, so that all must be seen
	s := NewStore()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				s.AddRequest(&Request{Tunnel: fmt.Sprint(w), Time: time.Unix(1, 0)})
				s.PutTunnel(Tunnel{Key: fmt.Sprint(w), Name: "t"})
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	v := NewView(s)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		v.Sync()
	}
	if v.Len() != writers*each {
		t.Errorf("the view has %d rows of %d", v.Len(), writers*each)
	}
}
