package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// paced is a local service that makes the next piece of an answer only when it is
// told that the one before has arrived: the last cannot be there before the first
// was read.
type paced struct {
	next chan struct{}
}

func (p *paced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wait := func() bool {
		w.(http.Flusher).Flush()
		select {
		case <-p.next:
			return true
		case <-r.Context().Done():
			return false
		}
	}
	switch r.URL.Path {
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range 3 {
			fmt.Fprintf(w, "id: %d\ndata: %d\n\n", n, n)
			if !wait() {
				return
			}
		}
	case "/drip": // no length, no kind: pieces of one byte
		for n := range 5 {
			fmt.Fprint(w, n)
			if !wait() {
				return
			}
		}
	case "/download": // more than HTTP APIs and Lambda's answers hold
		w.Header().Set("Content-Length", fmt.Sprint(awsDownload))
		w.Header().Set("Content-Type", "application/octet-stream")
		content := endless()
		_, _ = io.CopyN(w, content, awsDownload/2)
		if wait() {
			_, _ = io.CopyN(w, content, awsDownload-awsDownload/2)
		}
	case "/cut":
		io.WriteString(w, "the beginning")
		if wait() {
			panic(http.ErrAbortHandler)
		}
	}
}

const awsDownload = 12 << 20

// testAWSStream asks for answers by the Function URL: what the service has made is
// with the visitor before it makes the rest. What cannot be had is that the service
// hears of a visitor who leaves: a streaming function is not interrupted then.
func testAWSStream(t *testing.T, aws *account) {
	service := &paced{next: make(chan struct{})}
	a := aws.tunnel(t, service)
	base := aws.form(a, "stream")
	client := newClient(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	open := func(t *testing.T, path string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(resp.Body)
			t.Fatalf("%s: %s: %.300s", path, resp.Status, text)
		}
		return resp
	}

	t.Run("events", func(t *testing.T) {
		resp := open(t, "/events")
		defer resp.Body.Close()
		if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
			t.Errorf("Content-Type %q", ct)
		}
		in := bufio.NewReader(resp.Body)
		for n := range 3 {
			for _, want := range []string{fmt.Sprintf("id: %d\n", n), fmt.Sprintf("data: %d\n", n), "\n"} {
				if line, err := in.ReadString('\n'); err != nil || line != want {
					t.Fatalf("event %d: %q (%v), want %q", n, line, err, want)
				}
			}
			service.next <- struct{}{}
		}
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
			t.Errorf("after the last event: %q, %v", rest, err)
		}
	})
	t.Run("drip", func(t *testing.T) {
		resp := open(t, "/drip")
		defer resp.Body.Close()
		for n := range 5 {
			piece := make([]byte, 10)
			if k, err := resp.Body.Read(piece); err != nil || string(piece[:k]) != fmt.Sprint(n) {
				t.Fatalf("piece %d: %q, %v", n, piece[:k], err)
			}
			service.next <- struct{}{}
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("after the last piece: %q, %v", rest, err)
		}
	})
	t.Run("download", func(t *testing.T) {
		want := sha256.New()
		_, _ = io.CopyN(want, endless(), awsDownload)
		resp := open(t, "/download")
		defer resp.Body.Close()
		got := sha256.New()
		if n, err := io.CopyN(got, resp.Body, awsDownload/2); err != nil {
			t.Fatalf("the first half: %d bytes, %v", n, err)
		}
		service.next <- struct{}{}
		n, err := io.Copy(got, resp.Body)
		if err != nil || n != awsDownload-awsDownload/2 || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Errorf("the second half: %d bytes, %v; all of it is right: %v", n, err, bytes.Equal(got.Sum(nil), want.Sum(nil)))
		}
	})
	t.Run("cut short", func(t *testing.T) {
		resp := open(t, "/cut")
		defer resp.Body.Close()
		first := make([]byte, len("the beginning"))
		if _, err := io.ReadFull(resp.Body, first); err != nil {
			t.Fatal(err)
		}
		service.next <- struct{}{}
		if rest, err := io.ReadAll(resp.Body); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an answer that was cut short ends with %q as if it were whole (%v)", rest, err)
		}
	})
	t.Run("errors", func(t *testing.T) {
		checkErrorPages(t, aws.stream+"/no-such-tunnel/x", http.StatusNotFound)
	})
}

// testAWSNoStream asks for the same by the HTTP API, which holds whole answers of at
// most 6 MB in JSON.
func testAWSNoStream(t *testing.T, aws *account) {
	a := aws.tunnel(t, httpbin.New(httpbin.WithMaxBodySize(16<<20)))
	got := mustGet(t, http.StatusOK, a.path("/bytes/4000000?seed=1"))
	if n := len(got.body); n != 4_000_000 {
		t.Errorf("%d bytes of 4,000,000", n)
	}
	got = mustGet(t, http.StatusBadGateway, a.path("/bytes/6000000?seed=1"))
	if !strings.Contains(got.body, "6 MB") || !strings.Contains(strings.ToLower(got.body), "stream") {
		t.Errorf("too large an answer: %q, want the limit and what helps", got.body)
	}
	if got := mustGet(t, http.StatusOK, aws.form(a, "stream")+"/bytes/6000000?seed=1"); len(got.body) != 6_000_000 {
		t.Errorf("%d bytes of 6,000,000 by the Function URL", len(got.body))
	}
}
