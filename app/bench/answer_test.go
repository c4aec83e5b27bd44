package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestParseHead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		head string
		want answerHead // zero: refused
	}{
		{"HTTP/1.1 200 OK|Content-Length: 200", answerHead{200, 200, false}},
		{"HTTP/1.1 404|content-length:0|X: y", answerHead{404, 0, false}},
		{"HTTP/1.1 200 OK|Transfer-Encoding: chunked", answerHead{200, -1, true}},
		{"HTTP/1.0 200 OK|Content-Length: 1", answerHead{}},
		{"HTTP/1.1 2000|Content-Length: 1", answerHead{}},
		{"HTTP/1.1 2x0 OK|Content-Length: 1", answerHead{}},
		{"HTTP/1.1 200 OK", answerHead{}},
		{"HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 1", answerHead{}},
		{"HTTP/1.1 200 OK|Content-Length: -1", answerHead{}},
		{"HTTP/1.1 200 OK|Content-Length: 1|Transfer-Encoding: chunked", answerHead{}},
		{"HTTP/1.1 200 OK|Transfer-Encoding: gzip", answerHead{}},
		{"HTTP/1.1 200 OK|Content-Length : 1", answerHead{}},
		{"HTTP/1.1 200 OK|Content-Length: 1|Connection: close", answerHead{}},
		{"", answerHead{}},
	} {
		got, err := parseHead([]byte(strings.ReplaceAll(test.head, "|", "\r\n") + "\r\n"))
		if refused := test.want == (answerHead{}); refused != (err != nil) || !refused && got != test.want {
			t.Errorf("%s: %+v, %v, want %+v", test.head, got, err, test.want)
		}
	}
}

// TestWhole sends answers in pieces of every size.
func TestWhole(t *testing.T) {
	t.Parallel()
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	for _, test := range []struct {
		stream string
		want   string // of the last error
	}{
		{good + good, ""},
		{good + good + "!", "1 bytes more"},
		{good + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", "with 4 bytes"},
		{good + "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello", "status 502"},
		{good + good[:len(good)-1], "closed"},
		{good + good[:20], "closed"},
	} {
		for size := 1; size <= len(good); size++ {
			client, server := net.Pipe()
			_ = client.SetDeadline(time.Now().Add(patience))
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				defer server.Close()
				for i, answer := range []string{test.stream[:len(good)], test.stream[len(good):]} {
					for len(answer) > 0 {
						n := min(size, len(answer))
						if i == 1 && n+1 == len(answer) {
							n++ // what is too much comes along
						}
						if _, err := server.Write([]byte(answer[:n])); err != nil {
							return
						}
						answer = answer[n:]
					}
				}
			}()
			a := newAnswers(client, 0)
			if err := a.whole(5); err != nil {
				t.Errorf("%q: %v", test.stream, err)
			}
			err := a.whole(5)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%q in pieces of %d: %v, want %q", test.stream, size, err, test.want)
			}
			client.Close()
			<-sent
		}
	}
}

func TestHeadIsBounded(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(patience))
	go func() {
		defer server.Close()
		for {
			if _, err := server.Write([]byte("HTTP/1.1 200 OK\r\nX: ")); err != nil {
				return
			}
		}
	}()
	if _, err := newAnswers(client, 0).head(); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("got %v", err)
	}
}
