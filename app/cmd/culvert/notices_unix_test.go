//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestNoticesArePrinted once, whoever of the user's tunnels gets them, for programs and
// for people.
func TestNoticesArePrinted(t *testing.T) {
	t.Parallel()
	at, file, token := relayOfAnn(t)
	program := spawn(t, "http", service(t), "--json", "--backend", at, "--token-file", file, "--config", t.TempDir())
	program.url(t)
	person := spawn(t, "http", service(t), "--backend", at, "--token-file", file, "--config", t.TempDir())
	person.read()
	person.says(t, "public URL")

	notify := func(body string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, at+"/_culvert/notify/user", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var told struct{ Delivered int }
		if err := json.NewDecoder(resp.Body).Decode(&told); err != nil || resp.StatusCode != http.StatusOK || told.Delivered != 2 {
			t.Fatalf("%s, %+v, %v", resp.Status, told, err)
		}
	}
	first := `{"userId":"ann","id":"n1","data":{"title":"Build 7","message":"failed\u001b[2J","n":[1]}}`
	notify(first)
	notify(first) // again: nobody sees it twice
	notify(`{"userId":"ann","id":"n2","data":"hello"}`)

	for _, want := range []event{
		{"event": "notice", "id": "n1", "title": "Build 7", "message": "failed [2J", "data": map[string]any{"title": "Build 7", "message": "failed\x1b[2J", "n": []any{1.0}}},
		{"event": "notice", "id": "n2", "message": "hello", "data": "hello"},
	} {
		got := program.next(t, "notice")
		if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(got, "time")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if line := person.says(t, "✉"); !strings.HasSuffix(line, "✉ Build 7: failed [2J") {
		t.Errorf("line %q", line)
	}
	if line := person.says(t, "✉"); !strings.HasSuffix(line, "✉ hello") {
		t.Errorf("line %q", line)
	}
	for _, p := range []*process{program, person} {
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(t); code != exitOK {
			t.Errorf("exit code %d", code)
		}
	}
}
