package model

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"culvert/app/exchange"

	"github.com/google/go-cmp/cmp"
)

// What is kept of exchanges stays within its bounds, the oldest leaving first.
func TestExchangesStayWithinTheirMemory(t *testing.T) {
	t.Parallel()
	s := NewStore()
	const each = 1 << 20
	var ids []uint64
	for i := range 200 {
		r := add(s, "1", fmt.Sprint("/", i), 200)
		s.KeepExchange(r.ID, &exchange.Exchange{ID: fmt.Sprint(i), Response: exchange.Message{Body: make([]byte, each), Size: each}})
		ids = append(ids, r.ID)
	}
	if s.Exchange(ids[0]) != nil || s.ExchangeByID("0") != nil {
		t.Error("the oldest exchange is still in memory")
	}
	if x := s.Exchange(ids[199]); x == nil || x.ID != "199" || s.ExchangeByID("199") != x {
		t.Errorf("the newest is %v", x)
	}
	if s.log.bytes > maxExchanges || s.log.bytes < maxExchanges-2*each {
		t.Errorf("%d bytes are kept, want some %d", s.log.bytes, maxExchanges)
	}
	var sum int64
	for _, k := range s.log.exchanges {
		sum += k.size
	}
	if sum != s.log.bytes {
		t.Errorf("%d bytes are counted, there are %d", s.log.bytes, sum)
	}
	s.KeepExchange(ids[199], &exchange.Exchange{ID: "again"}) // replaces
	s.KeepExchange(12345, &exchange.Exchange{ID: "nobody's"})
	if s.ExchangeByID("nobody's") != nil || s.Exchange(ids[199]).ID != "again" || s.ExchangeByID("") != nil {
		t.Error("an exchange without its row is kept")
	}
	s.ClearRequests("")
	if s.log.bytes != 0 || len(s.log.exchanges) != 0 {
		t.Errorf("after clearing, %d bytes of %d exchanges are kept", s.log.bytes, len(s.log.exchanges))
	}
	if total := s.Total(); total.Requests != 200 || total.Bytes != 200*each {
		t.Errorf("in all there were %+v", total)
	}
}

// Rows that leave take their exchanges along, and the order of leaving stays short.
func TestRowsTakeTheirExchangesAlong(t *testing.T) {
	t.Parallel()
	s := NewStore()
	for i := range 3 * Capacity {
		r := add(s, "1", "/", 200)
		s.KeepExchange(r.ID, &exchange.Exchange{ID: fmt.Sprint(i)})
	}
	if n := len(s.log.exchanges); n != Capacity {
		t.Errorf("%d exchanges for %d rows", n, Capacity)
	}
	if n := len(s.log.order); n > 2*Capacity+100 {
		t.Errorf("%d places in the order for %d exchanges", n, Capacity)
	}
}

// A row that changes keeps its place in every view, also in one that stands still.
func TestChangedRowsStayInPlace(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	open := &Request{Tunnel: "1", Path: "/ws", Status: 101, Open: true}
	s.AddRequest(open)
	add(s, "1", "/a", 200)
	v.Sync()
	v.Freeze(true)
	for range 2 {
		ended := *open
		ended.Open, ended.Messages = false, 3
		s.EndRequest(&ended)
		if !v.Sync() {
			t.Error("a changed row is no change")
		}
		if r := v.At(1); r.Path != "/ws" || r.Open || r.Messages != 3 {
			t.Errorf("the row is %+v", r)
		}
		if v.Sync() {
			t.Error("it changes again and again")
		}
	}
	gone := Request{ID: 9999, Path: "/gone"}
	s.EndRequest(&gone)
	if v.Sync() || v.Len() != 2 {
		t.Errorf("a row that is not there made %d of 2", v.Len())
	}
	// More changes than are kept in mind: the view starts again, and sees them all.
	v.Freeze(false)
	for i := range 2 * maxChanges {
		changed := *open
		changed.Messages = i
		s.EndRequest(&changed)
	}
	if !v.Sync() || v.At(1).Messages != 2*maxChanges-1 {
		t.Errorf("after many changes the row is %+v", v.At(1))
	}
	if v.Sync() {
		t.Error("it starts again and again")
	}
}

func TestFilterByMethodClassAndTime(t *testing.T) {
	t.Parallel()
	s := NewStore()
	v := NewView(s)
	for _, r := range []Request{
		{Path: "/fast", Method: "GET", Status: 200, Duration: time.Millisecond},
		{Path: "/slow", Method: "POST", Status: 404, Duration: time.Second},
		{Path: "/cut", Method: "GET", Duration: 2 * time.Second},
		{Path: "/ws", Method: "GET", Status: 101, Open: true},
	} {
		s.AddRequest(&r)
	}
	for _, tt := range []struct {
		filter  Filter
		want    string
		narrows bool
	}{
		{Filter{}, "/ws/cut/slow/fast", false},
		{Filter{Method: "POST"}, "/slow", true},
		{Filter{Class: 2}, "/fast", true},
		{Filter{Class: 5}, "/cut", true},
		{Filter{Class: 1}, "/ws", true},
		{Filter{Least: time.Second}, "/ws/cut/slow", true},
		{Filter{Text: " "}, "/ws/cut/slow/fast", false},
		{Filter{Text: "s", Class: 4}, "/slow", true},
	} {
		v.SetFilter(tt.filter)
		if got := paths(v); got != tt.want || v.Filtered() != tt.narrows {
			t.Errorf("%+v: rows %q, want %q; narrows %v", tt.filter, got, tt.want, v.Filtered())
		}
	}
}

func TestFoundGrowsAtItsOldEnd(t *testing.T) {
	t.Parallel()
	var f Found
	page := func(from, n int) (rows []*Request) {
		for i := range n {
			rows = append(rows, &Request{Path: fmt.Sprint("/", from+i)})
		}
		return rows
	}
	if !f.Add(page(0, 2)) || !f.Add(page(2, 2)) || !f.Sync() || f.Sync() {
		t.Error("rows that come are no change, or one for ever")
	}
	for i := range 4 {
		if r := f.At(i); r.Path != fmt.Sprint("/", i) || f.Index(r.ID) != i {
			t.Errorf("row %d is %+v at %d", i, r, f.Index(r.ID))
		}
	}
	for _, id := range []uint64{0, 1, newest - 4, newest + 1} {
		if i := f.Index(id); i >= 0 {
			t.Errorf("%d is at %d", id, i)
		}
	}
	if f.Add(page(4, 2*MaxFound)) || f.Len() != MaxFound {
		t.Errorf("%d rows, want at most %d", f.Len(), MaxFound)
	}
	f.Reset()
	if f.Len() != 0 || !f.Sync() {
		t.Error("it is not emptied")
	}
}

func TestRateAndPercentiles(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := newStore(func() time.Time { return now })
	s.PutTunnel(Tunnel{Key: "1"})
	last := func() (tail []float32) {
		rate := s.Tunnels()[0].Rate
		if rate == nil {
			return nil
		}
		if len(rate) != RateBuckets {
			t.Fatalf("%d buckets", len(rate))
		}
		return rate[RateBuckets-3:]
	}
	if last() != nil {
		t.Error("without any request there is a rate")
	}
	for i := range 100 {
		s.AddRequest(&Request{Tunnel: "1", Status: 200, Duration: time.Duration(i+1) * time.Millisecond})
	}
	s.AddRequest(&Request{Tunnel: "1", Status: 101, Stream: WebSocketStream, Duration: time.Hour})
	s.AddRequest(&Request{Tunnel: "1", Duration: time.Hour}) // nobody waited for it to end
	if diff := cmp.Diff([]float32{0, 0, 102}, last()); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	now = now.Add(RateInterval)
	s.AddRequest(&Request{Tunnel: "1", Status: 200, Duration: time.Millisecond})
	if diff := cmp.Diff([]float32{0, 102, 1}, last()); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	if m := s.Tunnels()[0]; m.P50 != 50*time.Millisecond || m.P95 != 95*time.Millisecond || m.Requests != 103 {
		t.Errorf("p50 %v, p95 %v of %d", m.P50, m.P95, m.Requests)
	}
	now = now.Add(-time.Hour) // a clock that is put right must do no harm
	s.AddRequest(&Request{Tunnel: "1", Status: 200, Duration: time.Millisecond})
	if diff := cmp.Diff([]float32{0, 102, 2}, last()); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	now = now.Add(2 * time.Hour)
	if last() != nil {
		t.Error("after an hour without requests there is a rate")
	}
}

func TestArrangedTunnels(t *testing.T) {
	t.Parallel()
	s := NewStore()
	for _, key := range []string{"a", "b", "c", "d"} {
		s.PutTunnel(Tunnel{Key: key})
	}
	s.ArrangeTunnels([]string{"c", "a", "gone"})
	got := ""
	for _, m := range s.Tunnels() {
		got += m.Key
	}
	if got != "cabd" {
		t.Errorf("the order is %s", got)
	}
	s.ChangeTunnel("b", func(m *Tunnel) { m.Framework = "vite" })
	s.ChangeTunnel("gone", func(*Tunnel) { t.Error("one that is gone is changed") })
	if s.Tunnels()[2].Framework != "vite" {
		t.Error("the change is lost")
	}
	s.PutTunnel(Tunnel{Key: "b", State: Online, URL: "https://b.example", Public: true})
	if !AnyPublic(s.Tunnels()) {
		t.Error("nothing is public")
	}
}

func TestKindsOfRows(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Request{
		"200 ✓": {Status: 200}, "404 !": {Status: 404}, "500 ✕": {Status: 500}, "101 ⇄": {Status: 101, Stream: WebSocketStream},
		"200 ⋯": {Status: 200, Stream: EventStream}, "cut ✕": {}, "503 ✕": {Status: 503, Stream: EventStream},
	} {
		if got := r.StatusText(); got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
	}
	live := live(7)
	if r := (Request{Live: live, Messages: 3}); r.Count() != 7 {
		t.Errorf("while it lasts there are %d messages", r.Count())
	}
	if r := (Request{Messages: 3}); r.Count() != 3 {
		t.Errorf("at its end there are %d messages", r.Count())
	}
}

type live int

func (l live) Count() int                                   { return int(l) }
func (l live) Messages(int) ([]exchange.StreamMessage, int) { return nil, 0 }
func (l live) Done() bool                                   { return false }

// However long the texts that visitors send, a row takes some 2 KB; the exchange keeps
// the whole of them.
func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	long := func() *Request {
		text := strings.Repeat("ä", 30<<10)
		return &Request{Tunnel: "1", Path: "/" + text, Err: text, Detail: text, Method: text, Visitor: text, Name: text, Open: true}
	}
	size := func(r *Request) int {
		return len(r.Path) + len(r.Err) + len(r.Detail) + len(r.Method) + len(r.Visitor) + len(r.Name)
	}
	check := func(what string, r *Request) {
		t.Helper()
		if n := size(r); n > 2<<10 {
			t.Errorf("%s takes %d bytes", what, n)
		}
		for _, text := range []string{r.Path, r.Err, r.Detail, r.Method, r.Visitor, r.Name} {
			if !utf8.ValidString(text) || !strings.HasSuffix(text, "ä…") {
				t.Errorf("%s was cut to %.40q", what, text)
			}
		}
	}
	s := NewStore()
	r := long()
	s.AddRequest(r)
	whole := &exchange.Exchange{ID: "x", Path: long().Path}
	s.KeepExchange(r.ID, whole)
	check("a row", r)
	if got := s.Exchange(r.ID).Path; got != whole.Path {
		t.Error("the path of the exchange was cut")
	}
	ended := long()
	ended.ID = r.ID
	s.EndRequest(ended)
	check("a row that ended", ended)
	var f Found
	f.Add([]*Request{long()})
	check("a row of the history", f.At(0))
	short := &Request{Path: "/a", Err: "e", Detail: "d", Method: "GET", Visitor: "::1", Name: "n"}
	want := *short
	s.AddRequest(short)
	want.ID = short.ID
	if diff := cmp.Diff(&want, short); diff != "" {
		t.Errorf("a short row changed:\n%s", diff)
	}
}

// What stays of a long text keeps none of the rest in memory.
func TestRowsHoldNothingLarge(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", 1<<20)
	for _, n := range []int{1, 16, maxPath + 1} {
		head := whole[:n]
		r := &Request{Path: head, Method: head, Visitor: head, Name: head, Err: head, Detail: head}
		r.bound()
		for name, text := range map[string]string{
			"path": r.Path, "method": r.Method, "visitor": r.Visitor, "name": r.Name, "error": r.Err, "detail": r.Detail,
		} {
			if unsafe.StringData(text) == unsafe.StringData(whole) || !strings.HasPrefix(text, "x") {
				t.Errorf("%s of %d bytes shares the memory of a megabyte", name, n)
			}
		}
	}
}

// What is still going on has a row to end in, also after the list was cleared.
func TestClearLeavesWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := NewStore()
	s.PutTunnel(Tunnel{Key: "1"})
	s.AddRequest(&Request{Tunnel: "1", Path: "/done", Status: 200})
	s.AddRequest(&Request{Tunnel: "1", Path: "/events", Status: 200, Open: true})
	s.ClearRequests("")
	v := NewView(s)
	v.Sync()
	if v.Len() != 1 || v.At(0).Path != "/events" {
		t.Errorf("after clearing there are %d rows", v.Len())
	}
	s.RemoveTunnel("1")
	v.Sync()
	if v.Len() != 0 {
		t.Errorf("after the tunnel has gone there are %d rows", v.Len())
	}
}
