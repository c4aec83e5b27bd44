package forwarder

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/app/capture"
	"culvert/backend/wire"
)

// TestRecorded wants the log to say what visitors got.
func TestRecorded(t *testing.T) {
	t.Parallel()
	seen := make(chan *capture.Exchange, 1)
	recorder, err := capture.New(capture.Config{Bodies: true, OnExchange: func(e *capture.Exchange) {
		e.Keep()
		seen <- e
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	var log bytes.Buffer
	record := func(c *Config) {
		c.Recorder = recorder
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	type row struct {
		Method, Path, Prefix, RemoteAddr string
		Status                           int
		In, Out                          int64
		InBody, OutBody, Type            string
		Code                             wire.ResetCode // of the error; 0 for none
	}
	s := rawService(t, func(c *serviceConn) {
		switch head := c.head(); {
		case strings.HasPrefix(head, "POST"):
			c.br.Discard(5)
			c.say("HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Type: text/x\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nok")
		case strings.HasPrefix(head, "GET /cut"):
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 10\r\n\r\nhalf")
		}
	})
	here := forwarderTo(t, s.addr(), record)
	nowhere := forwarderTo(t, "127.0.0.1:"+refusingPort(t), record)
	tests := []struct {
		f     *Forwarder
		visit *visit
		want  row
	}{
		{here, newVisit(t, "POST", "/a%2F?b").withBody("hello"), row{"POST", "/a%2F?b", "/shop", "203.0.113.9", 201, 5, 2, "hello", "ok", "text/x", 0}},
		{here, newVisit(t, "GET", "/cut"), row{"GET", "/cut", "/shop", "203.0.113.9", 200, 0, 4, "", "half", "text/x", wire.ResetInternal}},
		{here, newVisit(t, "GET", "/none"), row{"GET", "/none", "/shop", "203.0.113.9", 502, 0, 0, "", "", "", wire.ResetInternal}},
		{here, newVisit(t, "GET", "bad"), row{"GET", "bad", "/shop", "203.0.113.9", 400, 0, 0, "", "", "", wire.ResetInvalid}},
		{nowhere, newVisit(t, "GET", "/"), row{"GET", "/", "/shop", "203.0.113.9", 503, 0, 0, "", "", "", wire.ResetUnavailable}},
	}
	for _, tt := range tests {
		tt.visit.head.Prefix = "/shop"
		wait(t, "the exchange", serve(tt.f, tt.visit))
		e := <-seen
		got := row{e.Method, e.Path, e.Prefix, e.RemoteAddr, e.Status, e.BytesIn, e.BytesOut,
			string(e.RequestBody.Bytes()), string(e.ResponseBody.Bytes()), e.ResponseHeader.Get("Content-Type"), 0}
		var reset *wire.ResetError
		if errors.As(e.Err, &reset) {
			got.Code = reset.Code
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if (e.Err == nil) != (tt.want.Code == 0) || e.ID != "visit-1" || e.RequestHeader.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("recorded %+v", e)
		}
	}
	if n := strings.Count(log.String(), "exchange failed"); n != 4 || !strings.Contains(log.String(), "connection refused") {
		t.Errorf("the log is\n%s", log.String())
	}
}

// TestPanicLeavesNothingBehind: whoever calls Serve decides about a panic, but the
// connection and the record end with it.
func TestPanicLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	seen := make(chan *capture.Exchange, 1)
	recorder, err := capture.New(capture.Config{OnExchange: func(e *capture.Exchange) { seen <- e }})
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	gone := make(chan string, 1)
	s := rawService(t, func(c *serviceConn) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		gone <- c.head()
	})
	f := forwarderTo(t, s.addr(), func(c *Config) { c.Recorder = recorder })
	v := newVisit(t, "GET", "/")
	v.slow = func(int) { panic("no way") }
	func() {
		defer func() {
			if p := recover(); p != "no way" {
				t.Errorf("recovered %v", p)
			}
		}()
		f.Serve(v)
	}()
	if e := <-seen; !errors.Is(e.Err, errUnfinished) {
		t.Errorf("recorded %v", e.Err)
	}
	if head := <-gone; head != "" {
		t.Errorf("the connection was used again: %q", head)
	}
}
