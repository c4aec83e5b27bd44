package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
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
