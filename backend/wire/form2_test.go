package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrameHeaderRoundTrip(t *testing.T) {
	t.Parallel()
	for _, h := range []FrameHeader{
		{Stream: 1, Length: 0, Type: FrameRequest},
		{Stream: math.MaxUint32, Length: MaxHead, Type: FrameRequest, End: true},
		{Stream: 2, Length: MaxHead, Type: FrameResponse, End: true},
		{Stream: 3, Length: MaxData, Type: FrameData},
		{Stream: 3, Length: 0, Type: FrameData, End: true},
		{Stream: 4, Length: MaxHead, Type: FrameTrailers},
		{Stream: 5, Length: 1, Type: FrameReset},
		{Stream: 5, Length: 1 + MaxResetMessage, Type: FrameReset},
		{Stream: 6, Length: 4, Type: FrameWindow},
	} {
		b := AppendFrameHeader([]byte("x"), h)[1:]
		got, err := ParseFrameHeader(b)
		if err != nil || got != h || len(b) != FrameHeaderSize {
			t.Errorf("%+v became %+v, %v", h, got, err)
		}
		PutFrameLength(b, 4)
		if h.Type != FrameWindow {
			h.Length = 4
		}
		if got, err := ParseFrameHeader(b); err != nil || got != h {
			t.Errorf("%+v with another length became %+v, %v", h, got, err)
		}
	}
}

func TestParseFrameHeaderRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		h      FrameHeader
		flags  byte
		tooBig bool
	}{
		"stream 0":          {h: FrameHeader{Type: FrameData}},
		"type 0":            {h: FrameHeader{Stream: 1}},
		"type 7":            {h: FrameHeader{Stream: 1, Type: 7}},
		"type 15":           {h: FrameHeader{Stream: 1, Type: 15}},
		"flag 2":            {h: FrameHeader{Stream: 1, Type: FrameData}, flags: 2},
		"flag 8":            {h: FrameHeader{Stream: 1, Type: FrameRequest}, flags: 8},
		"end on trailers":   {h: FrameHeader{Stream: 1, Type: FrameTrailers}, flags: 1},
		"end on reset":      {h: FrameHeader{Stream: 1, Type: FrameReset, Length: 1}, flags: 1},
		"end on window":     {h: FrameHeader{Stream: 1, Type: FrameWindow, Length: 4}, flags: 1},
		"long request":      {h: FrameHeader{Stream: 1, Type: FrameRequest, Length: MaxHead + 1}, tooBig: true},
		"long response":     {h: FrameHeader{Stream: 1, Type: FrameResponse, Length: MaxHead + 1}, tooBig: true},
		"long data":         {h: FrameHeader{Stream: 1, Type: FrameData, Length: MaxData + 1}, tooBig: true},
		"longest data":      {h: FrameHeader{Stream: 1, Type: FrameData, Length: 1<<24 - 1}, tooBig: true},
		"long trailers":     {h: FrameHeader{Stream: 1, Type: FrameTrailers, Length: MaxHead + 1}, tooBig: true},
		"long reset":        {h: FrameHeader{Stream: 1, Type: FrameReset, Length: MaxResetMessage + 2}, tooBig: true},
		"empty reset":       {h: FrameHeader{Stream: 1, Type: FrameReset}},
		"window of 3 bytes": {h: FrameHeader{Stream: 1, Type: FrameWindow, Length: 3}},
		"window of 5 bytes": {h: FrameHeader{Stream: 1, Type: FrameWindow, Length: 5}, tooBig: true},
	} {
		b := AppendFrameHeader(nil, c.h)
		b[7] |= c.flags
		if _, err := ParseFrameHeader(b); !errors.Is(err, ErrProtocol) || errors.Is(err, ErrTooLarge) != c.tooBig {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range FrameHeaderSize {
		if _, err := ParseFrameHeader(make([]byte, n)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestNextFrame(t *testing.T) {
	t.Parallel()
	m := AppendWindow(nil, 1, 5)
	m = AppendReset(m, 2, ResetBusy, "full")
	h, p, rest, err := NextFrame(m)
	if n, werr := DecodeWindow(p); err != nil || werr != nil || h.Stream != 1 || n != 5 {
		t.Errorf("first frame %+v, %d, %v, %v", h, n, err, werr)
	}
	h, p, rest, err = NextFrame(rest)
	if err != nil || h.Stream != 2 || len(rest) != 0 {
		t.Errorf("second frame %+v, %v", h, err)
	}
	if r, err := DecodeReset(p); err != nil || *r != (ResetError{ResetBusy, "full"}) {
		t.Errorf("reset %+v, %v", r, err)
	}
	for n := range FrameHeaderSize + 4 {
		if _, _, _, err := NextFrame(m[:n]); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d bytes of a frame: %v", n, err)
		}
	}
}

func TestResetMessageIsCut(t *testing.T) {
	t.Parallel()
	b := AppendReset(nil, 1, ResetInternal, "x"+strings.Repeat("ä", MaxResetMessage))
	_, p, _, err := NextFrame(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeReset(p)
	if err != nil || r.Message != "x"+strings.Repeat("ä", (MaxResetMessage-1)/2) {
		t.Errorf("message of %d bytes, %v", len(r.Message), err)
	}
	if r, err := DecodeReset([]byte{99, 0xff}); err != nil || r.Code != 99 || r.Message != "�" || r.Code.Status() != 502 {
		t.Errorf("reset %+v, %v", r, err)
	}
}

func TestWindowBounds(t *testing.T) {
	t.Parallel()
	for n, ok := range map[uint32]bool{0: false, 1: true, MaxWindow: true, MaxWindow + 1: false, math.MaxUint32: false} {
		_, p, _, err := NextFrame(AppendWindow(nil, 1, n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeWindow(p)
		if (err == nil) != ok || (ok && got != n) {
			t.Errorf("window of %d became %d, %v", n, got, err)
		}
	}
}

// randomRequest makes a valid head of any shape.
func randomRequest(rng *rand.Rand) *RequestHead {
	text := func(n int) string {
		b := make([]byte, rng.IntN(n))
		for i := range b {
			b[i] = byte('!' + rng.IntN(94))
		}
		return string(b)
	}
	h := &RequestHead{
		Method: "M" + strings.Repeat("X", rng.IntN(20)), Target: "/" + text(300), Host: text(60),
		RemoteAddr: text(40), Upgrade: text(10), ContentLength: rng.Int64() - 1, Header: http.Header{},
	}
	if rng.IntN(2) == 0 {
		h.Prefix = "/" + text(30)
	}
	for i := range rng.IntN(40) {
		for range 1 + rng.IntN(3) {
			h.Header.Add(fmt.Sprintf("X-%d", i), text(200))
		}
	}
	return h
}

func TestHeadRoundTrip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		want := randomRequest(rng)
		b, err := AppendRequestHead([]byte("before"), want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRequestHead(bytes.TrimPrefix(b, []byte("before")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		answer := &ResponseHead{Status: 100 + rng.IntN(900), ContentLength: want.ContentLength, Header: want.Header}
		if b, err = AppendResponseHead(nil, answer); err != nil {
			t.Fatal(err)
		}
		gotAnswer, err := DecodeResponseHead(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(answer, gotAnswer); diff != "" {
			t.Fatal(diff)
		}
		if b, err = AppendTrailer(nil, want.Header); err != nil {
			t.Fatal(err)
		}
		trailer, err := DecodeTrailer(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Header, trailer); diff != "" {
			t.Fatal(diff)
		}
	}
}

// Values of a header must not share room to grow into each other.
func TestDecodedValuesDoNotOverlap(t *testing.T) {
	t.Parallel()
	b, err := AppendTrailer(nil, http.Header{"A": {"1"}, "B": {"2"}, "C": {"3"}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := DecodeTrailer(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"A", "B", "C"} {
		h.Add(name, "more")
	}
	want := http.Header{"A": {"1", "more"}, "B": {"2", "more"}, "C": {"3", "more"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}

func TestFramingFieldsDoNotTravel(t *testing.T) {
	t.Parallel()
	b, err := AppendTrailer(nil, http.Header{"Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}, "Connection": {"x"},
		"Keep-Alive": {"1"}, "Proxy-Connection": {"x"}, "Host": {"h"}, "host": {"h"}, "Te": {"trailers"}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := DecodeTrailer(b)
	if diff := cmp.Diff(http.Header{"Te": {"trailers"}}, h); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, name := range []string{"content-length", "Transfer-Encoding", "HOST", "connection"} {
		b := appendString([]byte{1}, name)
		if _, err := DecodeTrailer(appendString(b, "x")); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEncodeHeadRefuses(t *testing.T) {
	t.Parallel()
	good := func() *RequestHead { return &RequestHead{Method: "GET", Target: "/", Header: http.Header{}} }
	for name, spoil := range map[string]func(*RequestHead){
		"no method":        func(h *RequestHead) { h.Method = "" },
		"method":           func(h *RequestHead) { h.Method = "GET /" },
		"no target":        func(h *RequestHead) { h.Target = "" },
		"relative target":  func(h *RequestHead) { h.Target = "a" },
		"absolute target":  func(h *RequestHead) { h.Target = "http://a/" },
		"target, space":    func(h *RequestHead) { h.Target = "/a b" },
		"target, CRLF":     func(h *RequestHead) { h.Target = "/\r\nX: y" },
		"target, DEL":      func(h *RequestHead) { h.Target = "/\x7f" },
		"host":             func(h *RequestHead) { h.Host = "a\r\nb" },
		"prefix":           func(h *RequestHead) { h.Prefix = "shop" },
		"remote address":   func(h *RequestHead) { h.RemoteAddr = "1\n2" },
		"upgrade":          func(h *RequestHead) { h.Upgrade = "a\x00" },
		"content length":   func(h *RequestHead) { h.ContentLength = -2 },
		"header name":      func(h *RequestHead) { h.Header["a:"] = []string{"b"} },
		"header value":     func(h *RequestHead) { h.Header["A"] = []string{"b\nc"} },
		"too many headers": func(h *RequestHead) { h.Header["A"] = make([]string, MaxFields+1) },
		"too large":        func(h *RequestHead) { h.Header["A"] = []string{strings.Repeat("x", MaxHead)} },
	} {
		h := good()
		spoil(h)
		b, err := AppendRequestHead([]byte("before"), h)
		if !errors.Is(err, ErrProtocol) || string(b) != "before" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, status := range []int{-1, 0, 99, 1000} {
		if _, err := AppendResponseHead(nil, &ResponseHead{Status: status}); !errors.Is(err, ErrProtocol) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for _, target := range []string{"*", "/", "//", "/a%2Fb?c=%zz#", "/\xc3\xa4"} {
		h := good()
		h.Target = target
		if _, err := AppendRequestHead(nil, h); err != nil {
			t.Errorf("target %q: %v", target, err)
		}
	}
}

func TestHeadBounds(t *testing.T) {
	t.Parallel()
	h := &ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{"A": make([]string, MaxFields)}}
	b, err := AppendResponseHead(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeResponseHead(b); err != nil {
		t.Errorf("%d fields: %v", MaxFields, err)
	}
	// status 2, content length 1, count 1, name 2, value length 3
	h.Header = http.Header{"A": {strings.Repeat("x", MaxHead-9)}}
	if b, err = AppendResponseHead(nil, h); err != nil || len(b) != MaxHead {
		t.Fatalf("head of %d bytes, %v", len(b), err)
	}
	if _, err := DecodeResponseHead(b); err != nil {
		t.Errorf("head of %d bytes: %v", MaxHead, err)
	}
	for name, decode := range map[string]func([]byte) error{
		"request":  func(p []byte) error { _, err := DecodeRequestHead(p); return err },
		"response": func(p []byte) error { _, err := DecodeResponseHead(p); return err },
		"trailer":  func(p []byte) error { _, err := DecodeTrailer(p); return err },
	} {
		if err := decode(make([]byte, MaxHead+1)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s over the bound: %v", name, err)
		}
	}
}

func TestDecodeHeadRefuses(t *testing.T) {
	t.Parallel()
	for name, p := range map[string][]byte{
		"nothing":               {},
		"number cut off":        {0xc8},
		"number not shortest":   {0xc8, 0x81, 0x00, 0, 0},
		"number over 64 bits":   {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02},
		"number over 10 bytes":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"status 99":             {99, 0, 0},
		"status 2^63":           {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0},
		"length 2^63":           {0xc8, 0x01, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0},
		"count over the rest":   {0xc8, 0x01, 0, 5, 1, 'A', 0},
		"count of 2^62":         {0xc8, 0x01, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40},
		"name over the rest":    {0xc8, 0x01, 0, 1, 9, 'A', 0},
		"value over the rest":   {0xc8, 0x01, 0, 1, 1, 'A', 1},
		"empty name":            {0xc8, 0x01, 0, 1, 0, 1, 'x'},
		"name with a space":     {0xc8, 0x01, 0, 1, 1, ' ', 0},
		"value with LF":         {0xc8, 0x01, 0, 1, 1, 'A', 1, '\n'},
		"bytes after the end":   {0xc8, 0x01, 0, 0, 0},
		"field after the count": {0xc8, 0x01, 0, 0, 1, 'A', 0},
	} {
		if _, err := DecodeResponseHead(p); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := AppendRequestHead(nil, &RequestHead{Method: "GET", Target: "/", Host: "h", Header: http.Header{"A": {"b"}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := DecodeRequestHead(b[:n]); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}

func TestEscapeTarget(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		"*":                     "*",
		"/a/b?c=d&e=%20+":       "/a/b?c=d&e=%20+",
		"/\"<>[]{}|\\^`#":       "/\"<>[]{}|\\^`#",
		"/a b":                  "/a%20b",
		"/ä\x00\x7f\r\n\t":      "/%C3%A4%00%7F%0D%0A%09",
		"/\xff?" + "\U0001f600": "/%FF?%F0%9F%98%80",
	} {
		if got := EscapeTarget(in); got != want {
			t.Errorf("EscapeTarget(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[ResetCode]ErrorCode{
		ResetCancel: CodeInternal, ResetInternal: CodeInternal, ResetUnavailable: CodeLocalUnavailable, ResetTimeout: CodeTimeout,
		ResetTooLarge: CodeInternal, ResetInvalid: CodeInvalidRequest, ResetBusy: CodeLocalUnavailable, ResetProtocol: CodeInternal, 200: CodeInternal,
	} {
		if got := code.ErrorCode(); got != want || got.Original() != got {
			t.Errorf("reset %d is error %s, want %s", code, got, want)
		}
	}
	for code, status := range map[ErrorCode]int{CodeInvalidRequest: 400, CodeTimeout: 504, CodeLocalUnavailable: 503, CodeInternal: 502, "new": 502} {
		if got := code.Reset().Status(); got != status {
			t.Errorf("error %s has status %d, want %d", code, got, status)
		}
	}
	for code, permanent := range map[ErrorCode]bool{CodeUnauthorized: true, CodeForbidden: true, CodeNameTaken: true, CodeReplaced: true,
		CodeTooManyTunnels: true, CodeInvalidRequest: true, CodeThrottled: false, CodeGoingAway: false, CodeTimeout: false, "new": false} {
		if code.Permanent() != permanent {
			t.Errorf("%s: Permanent is %v", code, !permanent)
		}
		switch code.Original() {
		case CodeInvalidRequest, CodeTimeout, CodeLocalUnavailable, CodeInternal:
		default:
			t.Errorf("%s: Original is %s", code, code.Original())
		}
	}
}

func FuzzDecodeRequestHead(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		b, err := AppendRequestHead(nil, randomRequest(rng))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := DecodeRequestHead(p)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v is no protocol error", err)
			}
			return
		}
		again, err := AppendRequestHead(nil, h)
		if err != nil {
			t.Fatalf("our own head: %v", err)
		}
		if len(again) != len(p) {
			t.Fatalf("%d bytes became %d: two encodings of one head", len(p), len(again))
		}
		h2, err := DecodeRequestHead(again)
		if diff := cmp.Diff(h, h2); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

func FuzzDecodeResponseHead(f *testing.F) {
	for _, h := range []*ResponseHead{
		{Status: 200, ContentLength: -1}, {Status: 101, Header: http.Header{"Upgrade": {"websocket"}}},
		{Status: 999, ContentLength: math.MaxInt64, Header: http.Header{"Set-Cookie": {"a", "b"}, "X": {""}}},
	} {
		b, err := AppendResponseHead(nil, h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := DecodeResponseHead(p)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v is no protocol error", err)
			}
			return
		}
		again, err := AppendResponseHead(nil, h)
		if err != nil || len(again) != len(p) {
			t.Fatalf("%d bytes became %d, %v", len(p), len(again), err)
		}
	})
}

// FuzzMessage takes a binary message apart as a connection does.
func FuzzMessage(f *testing.F) {
	head, err := AppendRequestHead(nil, &RequestHead{Method: "GET", Target: "/"})
	if err != nil {
		f.Fatal(err)
	}
	m := append(AppendFrameHeader(nil, FrameHeader{Stream: 1, Length: len(head), Type: FrameRequest, End: true}), head...)
	f.Add(m)
	f.Add(AppendReset(AppendWindow(m, 1, 65536), 1, ResetCancel, "gone"))
	f.Add(append(AppendFrameHeader(nil, FrameHeader{Stream: 9, Length: 3, Type: FrameData}), "abc"...))
	f.Add(append(AppendFrameHeader(nil, FrameHeader{Stream: 9, Length: 1, Type: FrameTrailers}), 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		for len(p) > 0 {
			h, payload, rest, err := NextFrame(p)
			if err != nil {
				if !errors.Is(err, ErrProtocol) {
					t.Fatalf("error %v is no protocol error", err)
				}
				return
			}
			if again := append(AppendFrameHeader(nil, h), payload...); !bytes.Equal(again, p[:len(p)-len(rest)]) {
				t.Fatalf("frame %x became %x", p[:len(p)-len(rest)], again)
			}
			switch h.Type {
			case FrameRequest:
				_, err = DecodeRequestHead(payload)
			case FrameResponse:
				_, err = DecodeResponseHead(payload)
			case FrameTrailers:
				_, err = DecodeTrailer(payload)
			case FrameReset:
				_, err = DecodeReset(payload)
			case FrameWindow:
				_, err = DecodeWindow(payload)
			}
			if err != nil && !errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v is no protocol error", err)
			}
			p = rest
		}
	})
}
