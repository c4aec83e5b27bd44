package forwarder

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"culvert/backend/wire"
)

func siteFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"index.html": "home", "big.bin": strings.Repeat("0123456789", 100_000)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFolder has everything on the way to a service hold for a folder.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := siteFolder(t)
	f := forwarderTo(t, dir, nil)
	if err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for range 3 { // on the same connection
		v := newVisit(t, "GET", "/")
		answered(t, f, v, 200)
		if v.out.String() != "home" || v.answer.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("answer %q, %v", v.out.String(), v.answer.Header)
		}
	}
	if n := len(f.pool.idle); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
	v := newVisit(t, "GET", "/big.bin")
	v.head.Header.Set("Range", "bytes=10-19")
	answered(t, f, v, 206)
	if v.out.String() != "0123456789" {
		t.Errorf("range %q", v.out.String())
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			v := newVisit(t, "GET", "/big.bin")
			answered(t, f, v, 200)
			if v.out.Len() != 1_000_000 {
				t.Errorf("%d bytes", v.out.Len())
			}
		})
	}
	wg.Wait()
	v = newVisit(t, "POST", "/").withBody(string(bytes.Repeat([]byte("x"), 20_000)))
	answered(t, f, v, 405)
	v, body := newVisit(t, "PUT", "/").withStream(-1) // and nobody reads it
	done := serve(f, v)
	wait(t, "the answer", v.ended)
	body.Close()
	wait(t, "the end", done)
	if v.answer == nil || v.answer.Status != http.StatusMethodNotAllowed {
		t.Errorf("upload: %v, %v", v.answer, v.reset)
	}
}

// TestFolderGone is a service that is down, for visitors, who are not told where it was.
func TestFolderGone(t *testing.T) {
	t.Parallel()
	dir := siteFolder(t)
	f := forwarderTo(t, dir, nil)
	answered(t, f, newVisit(t, "GET", "/"), 200)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	v := newVisit(t, "GET", "/")
	failed(t, f, v, wire.ResetUnavailable, "is not there: put it back")
	if strings.Contains(v.reset.Message, "site") {
		t.Errorf("visitors read %q", v.reset.Message)
	}
	if err := f.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("check: %v", err)
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	answered(t, f, newVisit(t, "GET", "/"), 200)
}

// TestFolderVisitorLeaves in the middle of a file.
func TestFolderVisitorLeaves(t *testing.T) {
	t.Parallel()
	f := forwarderTo(t, siteFolder(t), nil)
	v := newVisit(t, "GET", "/big.bin")
	v.slow = func(int) { v.cancel() }
	wait(t, "the end", serve(f, v))
	if v.complete {
		t.Error("the visitor got it all")
	}
	answered(t, f, newVisit(t, "GET", "/"), 200)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s, _ := recordingService(t)
	if err := forwarderTo(t, s.addr(), nil).Check(t.Context()); err != nil {
		t.Errorf("a service: %v", err)
	}
	nobody := forwarderTo(t, "127.0.0.1:"+refusingPort(t), nil)
	if err := nobody.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing is listening on") {
		t.Errorf("no service: %v", err)
	}
	secure := httptest.NewTLSServer(nil)
	defer secure.Close()
	if err := forwarderTo(t, secure.URL, nil).Check(t.Context()); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := nobody.Check(over); err == nil {
		t.Error("no error from a check that was given up")
	}
}
