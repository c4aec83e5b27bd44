package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/model"
)

// talker is a visitor who listens to the events of a service that says what it is told.
type talker struct {
	say   chan string // closing it ends the stream
	ended chan error
	row   *model.Request
}

func (k *talker) end(t *testing.T) {
	t.Helper()
	close(k.say)
	if err := <-k.ended; err != nil {
		t.Error(err)
	}
}

// talk opens a tunnel to such a service, and waits for the row of the stream.
func (h *house) talk(t *testing.T) *talker {
	t.Helper()
	k := &talker{say: make(chan string), ended: make(chan error, 1)}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for text := range k.say {
			fmt.Fprintf(w, "data: %s\n\n", text)
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(service.Close)
	if _, err := h.Open(t.Context(), service.URL, false); err != nil {
		t.Fatal(err)
	}
	online := await(t, h.store, "online", is(model.Online))
	go func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, online.URL+"/events?token=abcdefgh", nil)
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		k.ended <- err
	}()
	k.say <- "first"
	k.row = h.rows(t, 1)[0]
	eventually(t, "the first event", func() bool { return k.row.Count() == 1 })
	return k
}

// onDisk is what the history has with a text in it, as a crash would leave it.
func (h *house) onDisk(t *testing.T, text string) (all []*exchange.Exchange) {
	t.Helper()
	disk, err := h.past.opened(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := disk.Search(t.Context(), history.Query{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range found.Rows {
		x, err := disk.Get(t.Context(), row.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

// over waits until the end of a stream is everywhere.
func (h *house) over(t *testing.T) {
	t.Helper()
	eventually(t, "over", func() bool {
		h.keeping.Lock()
		defer h.keeping.Unlock()
		return len(h.live.all()) == 0
	})
}

// What a stream has been so far is on disk long before its end.
func TestStreamsAreKeptWhileTheyLast(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	k := h.talk(t)
	if got := h.onDisk(t, "/events"); len(got) != 1 || !got[0].Open {
		t.Errorf("at its beginning the stream is on disk as %+v", got)
	}
	k.say <- "second"
	eventually(t, "the second event", func() bool { return k.row.Count() == 2 })
	h.keepGrown()
	if got := h.onDisk(t, "second"); len(got) != 1 || !got[0].Open || len(got[0].Messages) != 2 {
		t.Errorf("later it is on disk as %+v", got)
	}
	if x, err := h.Recall(t.Context(), k.row.Exchange); err != nil || !x.Open || len(x.Messages) != 2 || x.Redacted {
		t.Errorf("asked for, it is %+v (%v)", x, err)
	}
	life := h.live.get(k.row.Exchange)
	k.end(t)
	h.over(t)
	if got := h.onDisk(t, ""); len(got) != 1 || got[0].Open || len(got[0].Messages) != 2 {
		t.Errorf("at its end it is on disk as %+v", got)
	}
	h.keepNow(life) // by one who has looked at it just before
	if got := h.onDisk(t, ""); len(got) != 1 || got[0].Open {
		t.Errorf("after its end it is open again: %+v", got)
	}

	// The record of its end was lost among others.
	if err := h.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.live.add(k.row.Exchange, life)
	h.sweep()
	if got := h.onDisk(t, "second"); len(got) != 1 || got[0].Open {
		t.Errorf("swept, it is on disk as %+v", got)
	}
}

// Clearing is about streams, too: what they have been so far does not come back.
func TestClearForgetsOpenStreams(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	k := h.talk(t)
	if err := h.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.onDisk(t, ""); len(got) > 0 {
		t.Errorf("right after clearing there are %+v", got)
	}
	if x, err := h.Exchange(t.Context(), k.row); err != nil || len(x.Messages) > 0 || x.Skipped != 1 {
		t.Errorf("after clearing the stream is %+v (%v)", x, err)
	}
	k.say <- "second"
	eventually(t, "the second event", func() bool { return k.row.Count() == 2 })
	k.end(t)
	h.over(t)
	if got := h.onDisk(t, "first"); len(got) > 0 {
		t.Errorf("what was cleared is on disk again: %+v", got)
	}
	if got := h.onDisk(t, "second"); len(got) != 1 || got[0].Open || got[0].Skipped != 1 {
		t.Errorf("what came later is on disk as %+v", got)
	}
}

// The queue of the history is not for what it would not keep.
func TestLongStreamsAreShortened(t *testing.T) {
	t.Parallel()
	x := &exchange.Exchange{ID: "x", Skipped: 5}
	for range 100 {
		x.Messages = append(x.Messages, exchange.StreamMessage{Data: make([]byte, 16<<10)})
	}
	short := shortened(x)
	if n := exchange.Weight(short); n > 2*history.DefaultMaxBody || len(short.Messages) == 0 || short.Skipped+len(short.Messages) != 105 {
		t.Errorf("%d bytes, %d messages, %d skipped", n, len(short.Messages), short.Skipped)
	}
	if len(x.Messages) != 100 || x.Skipped != 5 {
		t.Error("the exchange itself was changed")
	}
	if few := (&exchange.Exchange{Messages: x.Messages[:3]}); shortened(few) != few {
		t.Error("a short one was copied")
	}
}

// Rows are seen by whoever looks at the screen.
func TestRowsShowNoSecrets(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	k := h.talk(t)
	k.end(t)
	h.over(t)
	rows, _ := h.store.Since(0, 0, nil)
	page, err := h.Search(t.Context(), model.Filter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(rows, page.Rows...) {
		if !strings.HasPrefix(r.Path, "/events?token=") || strings.Contains(r.Path, "abcdefgh") {
			t.Errorf("a row shows %q", r.Path)
		}
	}
	if x, err := h.Exchange(t.Context(), rows[0]); err != nil || x.Path != "/events?token=abcdefgh" {
		t.Errorf("the exchange has lost it: %+v (%v)", x, err)
	}
	jwt := "/?a=" + strings.Repeat("x", 900) + "&b=eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("eyJzdWIiOiJhIn0", 60) + ".c2lnbmF0dXJl"
	if shown := path(jwt); strings.Contains(shown, "eyJ") {
		t.Errorf("a token at the edge of a row is shown: %.80q…", shown[900:])
	}
}
