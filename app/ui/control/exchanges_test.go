package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/app/ui/model"
)

// visit asks for a path through the only tunnel, and waits for n rows.
func (h *house) visit(t *testing.T, path string, n int) []*model.Request {
	t.Helper()
	online := await(t, h.store, "online", is(model.Online))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, online.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer very-secret")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return h.rows(t, n)
}

func (h *house) rows(t *testing.T, n int) (rows []*model.Request) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " rows"), func() bool {
		rows, _ = h.store.Since(0, 0, nil)
		return len(rows) >= n
	})
	return rows
}

func eventually(t *testing.T, what string, fits func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !fits(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// From the visitor to the disk, and back after a restart.
func TestExchangesAreKept(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		fmt.Fprintf(w, "hello from %s", r.URL.Path)
	}))
	defer service.Close()
	folder := t.TempDir()
	h := moveIn(t, folder, Config{})
	key, err := h.Open(t.Context(), service.URL, true)
	if err != nil {
		t.Fatal(err)
	}
	row := h.visit(t, "/a", 1)[0]
	x, err := h.Exchange(t.Context(), row)
	if err != nil || string(x.Response.Body) != "hello from /a" || x.Request.Header.Get("Authorization") != "Bearer very-secret" {
		t.Fatalf("the exchange is %+v (%v)", x, err)
	}
	if total := h.store.Total(); total.Requests != 1 || total.Bytes != 13 {
		t.Errorf("in all there were %+v", total)
	}

	// Replayed past the public URL, also while the tunnel is stopped.
	if err := h.Stop(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	await(t, h.store, "stopped", is(model.Stopped))
	if err := h.Replay(t.Context(), x, model.Replay{}); err != nil {
		t.Fatal(err)
	}
	again := h.rows(t, 2)[1]
	if again.ReplayOf != row.Exchange || again.Path != "/a" || served.Load() != 2 {
		t.Errorf("the replay's row is %+v", again)
	}
	edited := model.Replay{Of: x.ID, Method: "PUT", Path: "/b", Header: http.Header{"X-A": {"1"}}, Body: []byte("body")}
	if err := h.Replay(t.Context(), x, edited); err != nil {
		t.Fatal(err)
	}
	if r := h.rows(t, 3)[2]; r.Method != "PUT" || r.Path != "/b" {
		t.Errorf("the edited one's row is %+v", r)
	}

	find := func(h *house, f model.Filter) []*model.Request {
		t.Helper()
		page, err := h.Search(t.Context(), f, 0)
		if err != nil {
			t.Fatal(err)
		}
		return page.Rows
	}
	eventually(t, "three in the history", func() bool { return len(find(h, model.Filter{})) == 3 })
	if rows := find(h, model.Filter{Text: "hello from /b"}); len(rows) != 1 || rows[0].Method != "PUT" || rows[0].Tunnel != key {
		t.Errorf("found by its body: %+v", rows)
	}
	h.moveOut(t)

	later := moveIn(t, folder, Config{})
	rows := find(later, model.Filter{Text: "/a"})
	if len(rows) != 2 || rows[1].Exchange != row.Exchange {
		t.Fatalf("after a restart there are %+v", rows)
	}
	kept, err := later.Exchange(t.Context(), rows[1])
	if err != nil || !kept.Redacted || strings.Contains(fmt.Sprint(kept.Request.Header), "very-secret") {
		t.Errorf("kept is %+v (%v)", kept, err)
	}
	if err := later.Replay(t.Context(), kept, model.Replay{}); err == nil {
		t.Error("a request without its secrets was repeated")
	}
	if s := later.State(t.Context()); s.History.Exchanges != 3 || s.History.Bytes == 0 {
		t.Errorf("the settings say %+v", s.History)
	}
	if err := later.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := find(later, model.Filter{}); len(rows) != 0 {
		t.Errorf("after clearing all there are %d rows", len(rows))
	}
	if _, err := later.Exchange(t.Context(), rows[1]); err == nil {
		t.Error("a cleared exchange is still there")
	}
}

// A stream has its row from its beginning on.
func TestStreamsGrowInTheirRow(t *testing.T) {
	t.Parallel()
	goOn, end := make(chan struct{}), make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: one\n\n")
		w.(http.Flusher).Flush()
		<-goOn
		fmt.Fprint(w, "data: two\n\n")
		w.(http.Flusher).Flush()
		<-end
	}))
	defer service.Close()
	h := moveIn(t, t.TempDir(), Config{})
	if _, err := h.Open(t.Context(), service.URL, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	visited := make(chan error, 1)
	online := await(t, h.store, "online", is(model.Online))
	go func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, online.URL+"/events", nil)
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		visited <- err
	}()
	row := h.rows(t, 1)[0]
	if !row.Open || row.Stream != model.EventStream || row.Live == nil {
		t.Fatalf("the row of a stream is %+v", row)
	}
	eventually(t, "one event", func() bool { return row.Count() == 1 })
	if x, err := h.Exchange(t.Context(), row); err != nil || !x.Open || len(x.Messages) != 1 || string(x.Messages[0].Data) != "one" {
		t.Errorf("so far the exchange is %+v (%v)", x, err)
	}
	close(goOn)
	eventually(t, "two events", func() bool { return row.Count() == 2 })
	close(end)
	if err := <-visited; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end in the same row", func() bool {
		rows, _ := h.store.Since(0, 0, nil)
		return len(rows) == 1 && !rows[0].Open && rows[0].ID == row.ID && rows[0].Messages == 2
	})
	ended, _ := h.store.Since(0, 0, nil)
	if x, err := h.Exchange(t.Context(), ended[0]); err != nil || x.Open || len(x.Messages) != 2 {
		t.Errorf("at its end the exchange is %+v (%v)", x, err)
	}
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	defer service.Close()
	h := moveIn(t, t.TempDir(), Config{})
	if _, err := h.Export(t.Context(), nil, false); err == nil {
		t.Error("nothing was exported without a word")
	}
	if _, err := h.Open(t.Context(), service.URL, false); err != nil {
		t.Fatal(err)
	}
	rows := h.visit(t, "/a", 1)
	file, err := h.Export(t.Context(), rows, false)
	if err != nil || strings.Contains(string(file), "very-secret") {
		t.Fatalf("exported (%v)\n%s", err, file)
	}
	if whole, err := h.Export(t.Context(), rows, true); err != nil || !strings.Contains(string(whole), "very-secret") {
		t.Errorf("with secrets (%v)\n%s", err, whole)
	}
	if n, err := h.Import(t.Context(), file); n != 1 || err != nil {
		t.Fatalf("imported %d (%v)", n, err)
	}
	back := h.rows(t, 2)[1]
	if x, err := h.Exchange(t.Context(), back); err != nil || !strings.HasSuffix(x.Path, "/a") || string(x.Response.Body) != "hello" {
		t.Errorf("back came %+v (%v)", x, err)
	}

	// What a file says is sent to no service before a person has agreed.
	x, err := h.Exchange(t.Context(), back)
	if err != nil {
		t.Fatal(err)
	}
	x.Redacted = false
	served := len(h.rows(t, 2))
	for _, r := range []model.Replay{{}, {Of: x.ID, Method: "DELETE", Path: "/all?token=abcdefgh"}} {
		var ask *model.ReplayQuestion
		if err := h.Replay(t.Context(), x, r); !errors.As(err, &ask) || !strings.Contains(err.Error(), service.URL) {
			t.Fatalf("a stranger's request was repeated: %v", err)
		}
		if ask.Service != service.URL || ask.Method == "" || strings.Contains(ask.Path, "abcdefgh") {
			t.Errorf("the question is about %+v", ask)
		}
		if rows, _ := h.store.Since(0, 0, nil); len(rows) != served {
			t.Errorf("before there was an answer %d requests were sent", len(rows)-served)
		}
		if err := ask.Agree(t.Context()); err != nil {
			t.Fatal(err)
		}
		served++
		if again := h.rows(t, served)[served-1]; again.ReplayOf != x.ID || again.Method != ask.Method {
			t.Errorf("the replay's row is %+v", again)
		}
	}
	if n, err := h.Import(t.Context(), []byte("no archive")); n != 0 || err == nil {
		t.Errorf("of nonsense %d were imported (%v)", n, err)
	}
}
