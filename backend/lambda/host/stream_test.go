package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"culvert/backend/lambda/event"
)

// streamed is what the runtime reads of a streamed answer.
type streamed struct {
	status  int
	headers map[string]string
	body    string
	err     error
}

func (h *hosted) openStream(t *testing.T, text string) streamed {
	t.Helper()
	res, err := h.Host.Stream(t.Context(), json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	var s streamed
	var all []byte
	all, s.err = io.ReadAll(res)
	head, body, ok := bytes.Cut(all, make([]byte, 8))
	var a answered
	if err := json.Unmarshal(head, &a); err != nil || !ok {
		t.Fatalf("%q: %v", all, err)
	}
	s.status, s.headers, s.body = a.StatusCode, a.Headers, string(body)
	if err := res.Close(); err != nil {
		t.Error(err)
	}
	return s
}

// body is a stream's, which may panic.
type body struct {
	io.Reader
	read   func() error
	closed int
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.read != nil {
		err = b.read()
	}
	return n, err
}

func (b *body) Close() error { b.closed++; return nil }

func TestStreams(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		status int
		read   func() error
		want   streamed
		cause  string
	}{
		"good":      {"GET", 200, nil, streamed{status: 200, body: "data: 1\n\n"}, ""},
		"HEAD":      {"HEAD", 200, nil, streamed{status: 200}, ""},
		"cut":       {"GET", 200, func() error { return errors.New("the agent left") }, streamed{status: 200, body: "data: 1\n\n", err: io.ErrUnexpectedEOF}, "the agent left"},
		"panic":     {"GET", 200, func() error { panic("out of luck") }, streamed{status: 200, body: "", err: io.ErrUnexpectedEOF}, "out of luck"},
		"no status": {"GET", 0, nil, streamed{status: 502, body: msgNoAnswer + "\n"}, "status 0"},
	} {
		h := hostOf(t, RoleStream, variables{"CULVERT_PUBLIC_URL": "http://localhost:8081"})
		b := &body{Reader: strings.NewReader("data: 1\n\n"), read: c.read}
		h.staff.stream = func(*event.Request) *event.Stream { return &event.Stream{Status: c.status, Body: b} }
		got := h.openStream(t, strings.Replace(functionURL, `"GET"`, fmt.Sprintf("%q", c.method), 1))
		if got.status != c.want.status || c.cause != "out of luck" && got.body != c.want.body || (got.err != nil) != (c.want.err != nil) {
			t.Errorf("%s: %+v", name, got)
		}
		if b.closed != 1 || h.staff.requests[0].Proto != "http" {
			t.Errorf("%s: closed %d times, %+v", name, b.closed, h.staff.requests[0])
		}
		line := h.out.line(t)
		if cause := fmt.Sprint(line["cause"]); c.cause != "" && !strings.Contains(cause, c.cause) || c.cause == "" && cause != "<nil>" {
			t.Errorf("%s: %v", name, line)
		}
		m := metricsOf(t, line, "Culvert", "stream")
		if m["Requests"] != 1.0 || name == "good" && m["BytesOut"] != 9.0 {
			t.Errorf("%s: metrics %v", name, m)
		}
	}
}

func TestStreamsThatNeverBegin(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]func(*event.Request) *event.Stream{
		"panic":   func(*event.Request) *event.Stream { panic("out of luck") },
		"nothing": func(*event.Request) *event.Stream { return nil },
	} {
		h := hostOf(t, RoleStream, nil)
		h.staff.stream = stream
		if got := h.openStream(t, functionURL); got.status != 502 || !strings.Contains(got.body, "function's log") {
			t.Errorf("%s: %+v", name, got)
		}
		if line := h.out.line(t); line["level"] != "ERROR" || line["status"] != 502.0 {
			t.Errorf("%s: %v", name, line)
		}
	}
	h := hostOf(t, RoleStream, nil)
	h.staff.stream = func(*event.Request) *event.Stream { return &event.Stream{Status: 204} }
	if got := h.openStream(t, functionURL); got.status != 204 || got.body != "" {
		t.Errorf("no body: %+v", got)
	}
}

// The runtime's client may still be reading when it closes the stream.
func TestStreamClosedWhileRead(t *testing.T) {
	t.Parallel()
	h := hostOf(t, RoleStream, nil)
	r, w := io.Pipe()
	h.staff.stream = func(*event.Request) *event.Stream { return &event.Stream{Status: 200, Body: r} }
	res, err := h.Host.Stream(t.Context(), json.RawMessage(functionURL))
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	begun := make(chan struct{})
	reading.Go(func() {
		_, _ = res.Read(make([]byte, 1024)) // the head
		close(begun)
		if n, err := res.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes of nothing", n)
		}
	})
	<-begun
	for range 2 {
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	}
	reading.Wait()
	if _, err := w.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the agent's side is still open: %v", err)
	}
	if line := h.out.line(t); line["status"] != float64(http.StatusOK) {
		t.Errorf("%v", line)
	}
}
