package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

// idsOf are the IDs of rows, and never nil.
func idsOf(rows []Summary) []string {
	ids := []string{}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func TestSearch(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	change := func(id string, f func(x *exchange.Exchange)) {
		x := sample(1)
		x.ID = id
		f(x)
		h.Add(x)
	}
	change("plain", func(x *exchange.Exchange) {})
	change("get", func(x *exchange.Exchange) { x.Method, x.Status, x.Tunnel = "GET", 404, "docs" })
	change("slow", func(x *exchange.Exchange) { x.Duration, x.Status = 3*time.Second, 500 })
	change("cut", func(x *exchange.Exchange) { x.Status, x.Err = 0, "the visitor left" })
	change("zip", func(x *exchange.Exchange) {
		x.Response.Header.Set("Content-Encoding", "gzip")
		x.Response.Body = zipped(`{"hidden":"Kingfisher"}`)
	})
	change("stream", func(x *exchange.Exchange) {
		x.Status, x.Upgrade = 101, "websocket"
		x.Messages = []exchange.StreamMessage{{Time: begin, Name: "tick", Data: []byte("a Woodpecker knocks")}}
		x.Skipped = 4
	})
	change("head", func(x *exchange.Exchange) { x.Request.Header.Set("X-Bird", "Nightingale") })
	flush(t, h)
	for _, c := range []struct {
		name  string
		query Query
		want  []string
	}{
		{"everything, newest first", Query{}, []string{"head", "stream", "zip", "cut", "slow", "get", "plain"}},
		{"the tunnel", Query{Tunnel: "docs"}, []string{"get"}},
		{"the method", Query{Method: "GET"}, []string{"get"}},
		{"2xx", Query{StatusClass: 2}, []string{"head", "zip", "plain"}},
		{"1xx", Query{StatusClass: 1}, []string{"stream"}},
		{"5xx has those without an answer", Query{StatusClass: 5}, []string{"cut", "slow"}},
		{"the duration", Query{MinDuration: time.Second}, []string{"slow"}},
		{"a word of the error", Query{Text: "VISITOR"}, []string{"cut"}},
		{"two words in different places", Query{Text: "visitor umbrella"}, []string{"cut"}},
		{"a status by its start", Query{Text: "40", RowsOnly: true}, []string{"get"}},
		{"a word of a body", Query{Text: "umbrella", Limit: 2}, []string{"head", "stream"}},
		{"not of a body", Query{Text: "umbrella", RowsOnly: true}, []string{}},
		{"a header's value", Query{Text: "nightingale"}, []string{"head"}},
		{"a header's name", Query{Text: "x-bird:"}, []string{"head"}},
		{"behind gzip", Query{Text: "kingfisher"}, []string{"zip"}},
		{"a message", Query{Text: "woodpecker"}, []string{"stream"}},
		{"an event's name", Query{Text: "tick"}, []string{"stream"}},
		{"only some of the words", Query{Text: "woodpecker nightingale"}, []string{}},
		{"wildcards are nothing special", Query{Text: "%"}, []string{}},
		{"all together", Query{Text: "umbrella", Tunnel: "shop", Method: "POST", StatusClass: 5, MinDuration: time.Second}, []string{"slow"}},
	} {
		p, err := h.Search(t.Context(), c.query)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, idsOf(p.Rows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestSummaryIsWhole(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{Limits: Limits{Secrets: true}})
	x := sample(1)
	x.Upgrade, x.Err, x.Detail, x.NoTarget, x.ReplayOf, x.Open, x.Skipped = "websocket", "it broke", "reset", true, "id-0", true, 2
	x.Messages = []exchange.StreamMessage{{Time: begin, Data: []byte("one")}}
	h.Add(x)
	flush(t, h)
	p, err := h.Search(t.Context(), Query{})
	if err != nil || len(p.Rows) != 1 {
		t.Fatal(p, err)
	}
	want := Summary{
		Seq: p.Rows[0].Seq, ID: x.ID, Tunnel: x.Tunnel, Target: x.Target, Start: x.Start, Duration: x.Duration, Waited: x.Waited, Open: true,
		RemoteAddr: x.RemoteAddr, Method: x.Method, Path: x.Path, Host: x.Host, Upgrade: x.Upgrade, Status: x.Status, ContentType: "text/plain",
		RequestSize: 22, ResponseSize: 9, Messages: 3, Err: x.Err, Detail: x.Detail, NoTarget: true, ReplayOf: x.ReplayOf,
	}
	if diff := cmp.Diff(want, p.Rows[0]); diff != "" {
		t.Errorf("the row (-want +got):\n%s", diff)
	}
}

// Paging through the history shows every row once, whatever comes in meanwhile.
func TestCursorIsStableWhileRowsArrive(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "umbrella"} {
		h := begun(t, Config{})
		const n = 1500
		for i := range n {
			h.Add(sample(i))
		}
		flush(t, h)
		var got []string
		q, young := Query{Text: text, Limit: 70}, n
		for {
			p, err := h.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, idsOf(p.Rows)...)
			for range 30 {
				h.Add(sample(young))
				young++
			}
			// One that is there already is stored again, and stays where it is.
			h.Add(sample(700))
			flush(t, h)
			if q.Before = p.Next; p.Next == 0 {
				break
			}
		}
		want := make([]string, n)
		for i := range n {
			want[i] = sample(n - 1 - i).ID
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("text %q: pages (-want +got):\n%s", text, diff)
		}
	}
}

// A search that ends early has what it found, and can go on.
func TestSearchIsEndedAndContinued(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	for i := range 3 * chunk {
		h.Add(sample(i))
	}
	flush(t, h)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := h.Search(ended, Query{Text: "/orders/7?"})
	if !errors.Is(err, context.Canceled) || p.Next == 0 || len(p.Rows) > 0 {
		t.Fatalf("an ended search gives %v, %v; want a cursor and the context's error", p, err)
	}
	p, err = h.Search(t.Context(), Query{Text: "/orders/7?", Before: p.Next})
	if err != nil || !slices.Equal(idsOf(p.Rows), []string{sample(7).ID}) || p.Next != 0 {
		t.Errorf("continued, it gives %v, %v", p, err)
	}
}

func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	for i := range maxLimit + 10 {
		h.Add(sample(i))
	}
	flush(t, h)
	for limit, want := range map[int]int{0: defaultLimit, -5: defaultLimit, 3: 3, 1 << 30: maxLimit} {
		if p, err := h.Search(t.Context(), Query{Limit: limit}); err != nil || len(p.Rows) != want {
			t.Errorf("limit %d gives %d rows, %v; want %d", limit, len(p.Rows), err, want)
		}
	}
}
