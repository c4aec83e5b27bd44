package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/session"
	"culvert/backend/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

const target = "http://localhost:3000"

// noon is when everything in these tests happens.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// scene is one of everything that a tunnel does, hostile visitors included.
func scene(c Console) {
	status := func(s session.Status) { c.Show(engine.StatusChanged{Status: s}) }
	visit := func(method, path string, code int, d time.Duration, in, out int64, from string) {
		c.Show(engine.RequestDone{Exchange: &capture.Exchange{
			ID: "7", Start: noon().Add(-d), Duration: d, Method: method, Path: path, Status: code,
			BytesIn: in, BytesOut: out, RemoteAddr: from,
		}})
	}
	online := wire.Established{
		TunnelID: "shop", PublicURL: "https://shop.example.com", SubdomainURL: "https://shop.example.com",
		PathBasedURL: "https://example.com/shop",
	}
	status(session.Status{State: session.Connecting})
	status(session.Status{State: session.Online, Established: online})
	visit("GET", "/", 200, 1234*time.Microsecond, 0, 512, "192.0.2.7")
	visit("POST", "/api/v1/orders?expand=items,customer&sort=-created&fields=id,number,total,currency", 201, 87*time.Millisecond, 5120, 12345, "2001:db8::1:2:3")
	visit("GET", "/old", 304, 999*time.Microsecond, 0, 0, "203.0.113.255")
	visit("GET", "/\x1b]0;pwned\a\x1b[2J\u202eevil\u009b31m", 404, 5*time.Second, 0, 1_048_576, "198.51.100.23")
	visit("PROPFINDSOMETHING", "*", 502, 61*time.Second, 0, 3_500_000_000, "198.51.100.23")
	visit("GET\x1b[31m", "/gone", 0, 2*time.Hour+5*time.Minute, 0, 0, "192.0.2.7\x1b")
	c.Show(engine.Dropped{N: 12})
	c.Show(engine.Notice{Message: "what a backend says\x1b[5m\r\nin two lines – 中文"})
	c.Show(engine.NoticeReceived{ID: "n-1", Title: "Build 7\x1b[2J", Text: "has failed:\nsee <the log> – 中文\u202e", Data: json.RawMessage(`{"title":"Build 7","n":[1,"<\u202e\u009b"]}`)})
	c.Show(engine.NoticeReceived{ID: "n-2", Text: "hello", Data: json.RawMessage(`"hello"`)})
	status(session.Status{State: session.Reconnecting, Attempt: 3, NextTry: noon().Add(4200 * time.Millisecond), Cause: errors.New("dial tcp: connection refused")})
	status(session.Status{State: session.Reconnecting, Attempt: 3, NextTry: noon(), Cause: errors.New("\x1b[2J")})
	status(session.Status{State: session.Online, Established: online})
	online.PublicURL, online.StreamURL = "https://other.example.com", "https://streams.example.com/shop"
	status(session.Status{State: session.Online, Established: online})
	status(session.Status{State: session.Refused, Cause: errors.New("expired")})
	c.Offline("refused by the backend: expired")
}

// play gives what a console writes of the scene.
func play(t *testing.T, open func(*bytes.Buffer) Console) string {
	t.Helper()
	var out bytes.Buffer
	c := open(&out)
	scene(c)
	c.Lines().Close(t.Context())
	return out.String()
}

func text(cfg TextConfig) func(*bytes.Buffer) Console {
	cfg.Target, cfg.Now = target, noon
	return func(out *bytes.Buffer) Console { return NewText(out, cfg, nil) }
}

func columns(n int) func() int { return func() int { return n } }

// TestWindowsEventsSayNothing here: what a window shows of lights, edits and streams has
// no line.
func TestWindowsEventsSayNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, c := range []Console{NewText(&out, TextConfig{Target: "3000"}, nil), NewJSON(&out, "3000", nil)} {
		for _, event := range []engine.Event{engine.Probed{}, engine.Edited{}, engine.StreamOpened{}, engine.Removed{}, engine.BuiltInChanged{}} {
			c.Show(event)
		}
		c.Lines().Close(t.Context())
	}
	if out.Len() > 0 {
		t.Errorf("it says %q", out.String())
	}
}

func TestTextGolden(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]TextConfig{
		"file":       {},
		"wide":       {Width: columns(200), Color: true},
		"columns100": {Width: columns(100), Color: true},
		"columns72":  {Width: columns(72), Backend: "wss://api.example.com/live"},
		"columns40":  {Width: columns(40)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := play(t, text(cfg))
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// sgr is a colour, which is all that this program may tell a terminal.
var sgr = regexp.MustCompile(`\x1b\[[0-9]+m`)

func TestNothingControlsTheTerminal(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]string{
		"text": play(t, text(TextConfig{Color: true, Width: columns(120)})),
		"json": play(t, func(out *bytes.Buffer) Console { return NewJSON(out, target, nil) }),
	} {
		for _, r := range sgr.ReplaceAllString(output, "") {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s: %U reaches the terminal", name, r)
			}
		}
	}
}

func TestWidthIsKept(t *testing.T) {
	t.Parallel()
	for width := 66; width <= 160; width += 7 {
		output := sgr.ReplaceAllString(play(t, text(TextConfig{Color: true, Width: columns(width)})), "")
		for line := range strings.Lines(output) {
			line = strings.TrimSuffix(line, "\n")
			if strings.Contains(line, "GET") && len([]rune(line)) > width {
				t.Errorf("%d columns: %d in %q", width, len([]rune(line)), line)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	output := play(t, func(out *bytes.Buffer) Console { return NewJSON(out, target, nil) })
	type object = map[string]any
	var got []object
	for line := range strings.Lines(output) {
		var o object
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		stamp, _ := o["time"].(string)
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		delete(o, "time")
		if o["event"] == "reconnecting" { // counted from now, long after noon
			if o["retry_in_ms"] != 0.0 {
				t.Errorf("%q: a try that is due should start in 0 ms", line)
			}
		}
		got = append(got, o)
	}
	online := func(public string) object {
		return object{"event": "online", "tunnel_id": "shop", "public_url": public, "path_based_url": "https://example.com/shop",
			"subdomain_url": "https://shop.example.com", "target": target}
	}
	request := func(method, path string, status, ms, in, out float64, from string) object {
		return object{"event": "request", "id": "7", "method": method, "path": path, "status": status,
			"duration_ms": ms, "bytes_in": in, "bytes_out": out, "remote_addr": from}
	}
	notice := func(message string) object { return object{"event": "notice", "message": message} }
	reconnecting := func(cause string) object {
		return object{"event": "reconnecting", "attempt": 3.0, "retry_in_ms": 0.0, "cause": cause}
	}
	streaming := online("https://other.example.com")
	streaming["stream_url"] = "https://streams.example.com/shop"
	want := []object{
		online("https://shop.example.com"),
		request("GET", "/", 200, 1, 0, 512, "192.0.2.7"),
		request("POST", "/api/v1/orders?expand=items,customer&sort=-created&fields=id,number,total,currency", 201, 87, 5120, 12345, "2001:db8::1:2:3"),
		request("GET", "/old", 304, 0, 0, 0, "203.0.113.255"),
		request("GET", "/\x1b]0;pwned\a\x1b[2J\u202eevil\u009b31m", 404, 5000, 0, 1_048_576, "198.51.100.23"),
		request("PROPFINDSOMETHING", "*", 502, 61_000, 0, 3_500_000_000, "198.51.100.23"),
		request("GET\x1b[31m", "/gone", 0, 7_500_000, 0, 0, "192.0.2.7\x1b"),
		notice("12 requests are missing in this log because there were too many at once; they took place"),
		notice("what a backend says\x1b[5m\r\nin two lines – 中文"),
		{"event": "notice", "message": "has failed:\nsee <the log> – 中文\u202e", "id": "n-1", "title": "Build 7\x1b[2J",
			"data": object{"title": "Build 7", "n": []any{1.0, "<\u202e\u009b"}}},
		{"event": "notice", "message": "hello", "id": "n-2", "data": "hello"},
		reconnecting("dial tcp: connection refused"),
		reconnecting("\x1b[2J"),
		online("https://shop.example.com"),
		streaming,
		{"event": "offline", "cause": "refused by the backend: expired"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRetryIn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := NewJSON(&out, target, nil)
	c.Show(engine.StatusChanged{Status: session.Status{State: session.Reconnecting, Attempt: 1, NextTry: time.Now().Add(time.Hour)}})
	c.Lines().Close(t.Context())
	var got reconnectingLine
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.RetryInMS < 3_500_000 || got.RetryInMS > 3_600_000 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSlowReader has a reader that takes nothing for a while: nobody waits for
// it, and it is told afterwards what it has missed.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	out := &gate{open: make(chan struct{}), asked: make(chan struct{}, 1)}
	c := NewJSON(out, target, nil)
	x := &capture.Exchange{Method: "GET", Path: "/", Status: 200}
	c.Show(engine.RequestDone{Exchange: x})
	<-out.asked // the first line is stuck
	const extra = 500
	for range maxPending + extra {
		c.Show(engine.RequestDone{Exchange: x})
	}
	c.Offline("the end") // has room of its own
	close(out.open)
	c.Lines().Close(t.Context())
	requests, last, notice := 0, "", ""
	for line := range strings.Lines(out.got.String()) {
		switch {
		case strings.Contains(line, `"request"`):
			requests++
		case strings.Contains(line, `"notice"`):
			notice = line
		case strings.Contains(line, `"offline"`):
			last = line
		}
	}
	if requests != maxPending+1 || last == "" || !strings.Contains(notice, "500 lines") {
		t.Errorf("%d requests, notice %q, end %q", requests, notice, last)
	}
}

// TestSlowReaderOfLongLines is bounded in bytes, too.
func TestSlowReaderOfLongLines(t *testing.T) {
	t.Parallel()
	out := &gate{open: make(chan struct{}), asked: make(chan struct{}, 1)}
	l := NewLines(out, nil, nil)
	line := append(bytes.Repeat([]byte("x"), 64<<10-1), '\n')
	l.Write(line)
	<-out.asked
	const fit = maxBytes / (64 << 10)
	for range fit + 10 {
		l.Write(line)
	}
	close(out.open)
	l.Close(t.Context())
	if got := bytes.Count(out.got.Bytes(), []byte("\n")); got != 1+fit {
		t.Errorf("%d lines, want %d", got, 1+fit)
	}
}

// gate lets nothing through before it opens.
type gate struct {
	open  chan struct{}
	asked chan struct{}
	got   bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	select {
	case g.asked <- struct{}{}:
	default:
	}
	<-g.open
	return g.got.Write(p)
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	out := &gate{open: make(chan struct{}), asked: make(chan struct{}, 1)}
	c := NewJSON(out, target, nil)
	c.Offline("x")
	<-out.asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Lines().Close(ctx)
	close(out.open)
	c.Lines().Close(t.Context()) // and now to the end
}

// TestReaderGone loses the reader: that is told once, and the rest is thrown away.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	told := make(chan error, 10)
	c := NewJSON(w, target, func(err error) { told <- err })
	c.Show(engine.Notice{Message: "one"})
	if err := <-told; err == nil {
		t.Error("no error")
	}
	for range maxPending + roomForLines + 10 {
		c.Show(engine.Notice{Message: "more"})
	}
	c.Lines().Close(t.Context())
	if len(told) > 0 {
		t.Errorf("told again: %v", <-told)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		1_000_000_000: "1.0 GB", 1 << 50: "1125.9 TB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 9900 * time.Microsecond: "9.9 ms", 10 * time.Millisecond: "10 ms", 999 * time.Millisecond: "999 ms",
		time.Second: "1.0 s", time.Minute: "1m00s", 59*time.Minute + 59*time.Second: "59m59s", 25 * time.Hour: "25h00m",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Who runs the service is told why there was no answer of it, and not the visitor alone.
func TestJSONTellsWhatFailed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := NewJSON(&out, target, nil)
	c.Show(engine.RequestDone{Exchange: &capture.Exchange{ID: "7", Method: "GET", Path: "/", Status: 503,
		Err: &wire.ResetError{Code: wire.ResetUnavailable, Message: `nothing is listening on "localhost:3000"`}}})
	c.Lines().Close(t.Context())
	var line struct {
		Status int
		Cause  string
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Status != 503 || !strings.Contains(line.Cause, `nothing is listening on "localhost:3000"`) {
		t.Errorf("%s: %v", out.String(), err)
	}
}

// A line that is written the short way is the one that the long way makes.
func TestRequestLinesAreTheSame(t *testing.T) {
	t.Parallel()
	texts := []string{"", "GET", "/a?b=<&>'c", `/"`, `/\`, "/\n", "/\x7f", "/\u00e9\u2028", "/\xff"}
	short := 0
	for _, method := range texts {
		for _, path := range texts {
			for _, number := range []int64{0, 200, 1 << 40} {
				l := requestLine{head("request", noon()), "7-1", method, path, int(number), number, number, number, "2001:db8::1", ""}
				long := string(encode(l))
				if got := string(l.append([]byte("x")[:0])); got == "" {
					continue
				} else if short++; got != long {
					t.Errorf("%s instead of %s", got, long)
				}
			}
		}
	}
	if short != 3*3*3 {
		t.Errorf("%d lines were written the short way", short)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("/a?b=\x1b[2J\u202e\xff\U000e0001")
	f.Fuzz(func(t *testing.T, s string) {
		for name, got := range map[string]string{"ascii": escapeASCII(s), "text": escapeText(s)} {
			for _, r := range got {
				if !unicode.IsPrint(r) || name == "ascii" && (r <= ' ' || r > '~') {
					t.Errorf("%s: %q has %U in it", name, got, r)
				}
			}
		}
		line := encode(noticeLine{Message: s})
		var back noticeLine
		if err := json.Unmarshal(line, &back); err != nil || back.Message != strings.ToValidUTF8(s, "\uFFFD") && !strings.Contains(back.Message, "\uFFFD") {
			t.Errorf("%q became %q: %v", s, line, err)
		}
		for _, r := range strings.TrimSuffix(string(line), "\n") {
			if !unicode.IsPrint(r) {
				t.Errorf("%q has %U in it", line, r)
			}
		}
	})
}
