package stream

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"culvert/app/exchange"
)

func event(name, id, data string) exchange.StreamMessage {
	return exchange.StreamMessage{Time: noon, From: exchange.FromService, Kind: exchange.Event,
		Name: name, LastID: id, Data: []byte(data), Size: int64(len(data))}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxData)
	tests := []struct {
		name, wire string
		want       []exchange.StreamMessage
	}{
		// The first four are of the standard's section 9.2.6.
		{"lines", "data: YHOO\ndata: +2\ndata: 10\n\n", []exchange.StreamMessage{event("message", "", "YHOO\n+2\n10")}},
		{"comment, id and its reset", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			[]exchange.StreamMessage{event("message", "1", "first event"), event("message", "", "second event"), event("message", "", " third event")}},
		{"empty data, and an end without a blank line", "data\n\ndata\ndata\n\ndata:",
			[]exchange.StreamMessage{event("message", "", ""), event("message", "", "\n")}},
		{"one space", "data:test\n\ndata: test\n\n", []exchange.StreamMessage{event("message", "", "test"), event("message", "", "test")}},
		{"names", "event: add\ndata: 7\n\ndata: 8\n\n", []exchange.StreamMessage{event("add", "", "7"), event("message", "", "8")}},
		{"the last name counts", "event: add\nevent: remove\ndata: 7\n\nevent: x\nevent\ndata: 8\n\n",
			[]exchange.StreamMessage{event("remove", "", "7"), event("message", "", "8")}},
		{"a name without data is forgotten", "event: add\n\ndata: 7\n\n", []exchange.StreamMessage{event("message", "", "7")}},
		{"the id stays", "id: a\ndata: 1\n\ndata: 2\n\n", []exchange.StreamMessage{event("message", "a", "1"), event("message", "a", "2")}},
		{"an id with NUL is none", "id: a\ndata: 1\n\nid: b\x00\ndata: 2\n\n", []exchange.StreamMessage{event("message", "a", "1"), event("message", "a", "2")}},
		{"carriage returns", "data: 1\r\n\r\ndata: 2\r\rdata: 3\n\r\n", []exchange.StreamMessage{
			event("message", "", "1"), event("message", "", "2"), event("message", "", "3")}},
		{"byte order mark", "\xef\xbb\xbfdata: 1\n\n", []exchange.StreamMessage{event("message", "", "1")}},
		{"half a byte order mark", "\xef\xbbdata: 1\n\ndata: 2\n\n", []exchange.StreamMessage{event("message", "", "2")}},
		{"other fields", "retry: 10\nfoo: bar\ndatax: 1\ndata: 2\n\n", []exchange.StreamMessage{event("message", "", "2")}},
		{"colons in the value", "data: a:b: c\n\n", []exchange.StreamMessage{event("message", "", "a:b: c")}},
		{"long data", "data: " + long + "yy\n\ndata: 2\n\n", []exchange.StreamMessage{
			{Time: noon, From: exchange.FromService, Kind: exchange.Event, Name: "message", Data: []byte(long), Size: MaxData + 2, Truncated: true},
			event("message", "", "2")}},
		{"long names", "event: " + long + "\nid: " + long + "\ndata: 1\n\n",
			[]exchange.StreamMessage{event(long[:maxName], long[:maxName], "1")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 2, 5, len(test.wire)} {
				e := NewEvents(http.Header{"Content-Type": {"text/event-stream"}})
				got := decode(e, exchange.FromService, []byte(test.wire), n)
				if diff := cmp.Diff(test.want, got, empty); diff != "" {
					t.Errorf("in pieces of %d: %s", n, diff)
				}
				e.Close()
			}
		})
	}
}

func TestEventsOfTheVisitorAreNone(t *testing.T) {
	t.Parallel()
	e := NewEvents(nil)
	if got := decode(e, exchange.FromVisitor, []byte("data: 1\n\n"), 100); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// flusher is what every writer of a coding has.
type flusher interface {
	io.WriteCloser
	Flush() error
}

func encoder(t testing.TB, coding string, w io.Writer) flusher {
	t.Helper()
	switch coding {
	case "gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "bare deflate":
		f, err := flate.NewWriter(w, 6)
		if err != nil {
			t.Fatal(err)
		}
		return f
	case "br":
		return brotli.NewWriter(w)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestEventsCompressed checks that an event is told of when its bytes have come,
// not when later ones do.
func TestEventsCompressed(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "deflate", "bare deflate", "br", "zstd"} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			_, name, found := strings.Cut(coding, "bare ")
			if !found {
				name = coding
			}
			var wire bytes.Buffer
			w := encoder(t, coding, &wire)
			e := NewEvents(http.Header{"Content-Encoding": {name}})
			defer e.Close()
			for i := range 20 {
				data := fmt.Sprintf("event %d, and event %d once more", i, i)
				fmt.Fprintf(w, "data: %s\n\n", data)
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				got := decode(e, exchange.FromService, wire.Bytes(), 1+i)
				wire.Reset()
				if want := []exchange.StreamMessage{event("message", "", data)}; !cmp.Equal(want, got) {
					t.Fatalf("event %d: %s", i, cmp.Diff(want, got))
				}
			}
			if e.Broken() {
				t.Error("it is broken")
			}
			w.Close()
		})
	}
}

func TestEventsCodingFails(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	w := brotli.NewWriterLevel(&bomb, 1)
	w.Write([]byte("data: 1\n\n"))
	w.Write(make([]byte, 2*maxGrowth))
	w.Close()
	tests := []struct {
		name, coding string
		wire         []byte
		want         int
	}{
		{"unknown", "rot13", []byte("data: 1\n\n"), 0},
		{"another", "gzip", []byte("data: 1, which is no gzip\n\n"), 0},
		{"bomb", "br", bomb.Bytes(), 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := NewEvents(http.Header{"Content-Encoding": {test.coding}})
			defer e.Close()
			got := decode(e, exchange.FromService, test.wire, len(test.wire))
			if len(got) != test.want || !e.Broken() {
				t.Errorf("%d events, broken: %v", len(got), e.Broken())
			}
			if got := decode(e, exchange.FromService, test.wire, len(test.wire)); len(got) != 0 {
				t.Errorf("afterwards: %v", got)
			}
		})
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbfid: 1\r\nevent: a\rdata: x\ndata:y\n\n"), uint8(1))
	f.Add([]byte(":\n\ndata\n\n"), uint8(2))
	f.Fuzz(func(t *testing.T, wire []byte, piece uint8) {
		want := decode(NewEvents(nil), exchange.FromService, wire, len(wire))
		got := decode(NewEvents(nil), exchange.FromService, wire, int(piece)+1)
		if diff := cmp.Diff(want, got, empty); diff != "" {
			t.Error(diff)
		}
		for _, m := range got {
			if len(m.Data) > MaxData || len(m.Name) > 3*maxName || len(m.LastID) > 3*maxName {
				t.Errorf("%d bytes, name %d, id %d", len(m.Data), len(m.Name), len(m.LastID))
			}
		}
	})
}

func FuzzEventsCompressed(f *testing.F) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		var wire bytes.Buffer
		w := encoder(f, coding, &wire)
		io.WriteString(w, "data: 1\n\n")
		w.Close()
		f.Add(wire.Bytes(), coding)
	}
	f.Fuzz(func(t *testing.T, wire []byte, coding string) {
		e := NewEvents(http.Header{"Content-Encoding": {coding}})
		defer e.Close()
		decode(e, exchange.FromService, wire, 100)
	})
}
