package share

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

func written(t testing.TB, o Options, exchanges ...*exchange.Exchange) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteHAR(&out, exchanges, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func socket() *exchange.Exchange {
	return &exchange.Exchange{
		Tunnel: "shop", URL: "https://shop.tunnel.example/ws", Path: "/ws", Host: "shop.tunnel.example", Start: noon, Duration: 1500 * time.Millisecond,
		Waited: time.Millisecond, Open: true, Method: "GET", Upgrade: "websocket", Status: 101, Skipped: 4,
		Request: exchange.Message{Header: http.Header{}}, Response: exchange.Message{Header: http.Header{"Upgrade": {"websocket"}}},
		Messages: []exchange.StreamMessage{
			{Time: noon, From: exchange.FromVisitor, Kind: exchange.Text, Data: []byte("hello"), Size: 9, Truncated: true},
			{Time: noon.Add(123456 * time.Microsecond), From: exchange.FromService, Kind: exchange.Binary, Data: []byte{0, 255}, Size: 2},
			{Time: noon, From: exchange.FromService, Kind: exchange.Ping, Data: []byte{}, Size: 0},
			{Time: noon, From: exchange.FromService, Kind: exchange.Text, Data: []byte("\xff"), Size: 1},
			{Time: noon, From: exchange.FromService, Kind: exchange.Close, Data: []byte("\x03\xe8bye"), Size: 5},
		},
	}
}

func events() *exchange.Exchange {
	return &exchange.Exchange{
		URL: "https://a.example/e", Path: "/e", Host: "a.example", Start: noon, Duration: 5 * time.Second, Waited: time.Second, Method: "GET", Status: 200,
		Request:  exchange.Message{Header: http.Header{}},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: []byte("data: 1\n\n"), Size: 9},
		Messages: []exchange.StreamMessage{{Time: noon, From: exchange.FromService, Kind: exchange.Event, Name: "message", LastID: "7", Data: []byte("1"), Size: 1}},
	}
}

// TestRoundTrip checks that our own archives lose nothing but IDs.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	failed := &exchange.Exchange{
		Tunnel: "docs", Target: "/srv/site", URL: "https://docs.example/", Path: "/", Host: "docs.example", Start: noon, Duration: 12345678, Waited: 12345678,
		RemoteAddr: "::1", Method: "PUT", Status: 503, Err: "it is gone", Detail: "ENOENT", NoTarget: true,
		Request:  exchange.Message{Header: http.Header{"Accept": {"a", "b"}}, Size: 300, Dropped: true},
		Response: exchange.Message{Header: http.Header{}, Body: []byte("\x89PNG\x00\xff"), Size: 5000, Truncated: true},
	}
	want := []*exchange.Exchange{webhook(), socket(), events(), failed}
	archive := written(t, Options{Secrets: true, Version: "1.2.3"}, want...)
	if !json.Valid([]byte(archive)) {
		t.Fatalf("no JSON: %s", archive)
	}
	got, err := ReadHAR(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	want[0].ID = ""
	if diff := cmp.Diff(want, got, cmp.Transformer("body", func(b []byte) string { return string(b) })); diff != "" {
		t.Error(diff)
	}
}

func TestWriteHAR(t *testing.T) {
	t.Parallel()
	x := webhook()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	io.WriteString(w, `{"a":"b"}`)
	w.Close()
	x.Response = exchange.Message{Header: http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"application/json"}}, Body: packed.Bytes(), Size: int64(packed.Len())}
	x.Request.Header["Cookie"] = []string{"a=b"}
	archive := written(t, Options{Version: "1.2.3"}, x)
	for _, leaked := range []string{"s3cret", "token=abc", `"value":"abc"`, `"value":"b"`} {
		if strings.Contains(archive, leaked) {
			t.Errorf("%s is in it: %s", leaked, archive)
		}
	}
	var read struct {
		Log struct {
			Version string
			Creator struct{ Name, Version string }
			Entries []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(archive), &read); err != nil {
		t.Fatal(err)
	}
	if l := read.Log; l.Version != "1.2" || l.Creator.Name != "Culvert" || l.Creator.Version != "1.2.3" || len(l.Entries) != 1 {
		t.Errorf("%+v", l)
	}
	e := read.Log.Entries[0]
	request, response := e["request"].(map[string]any), e["response"].(map[string]any)
	// All that the format demands is there (sections "entries" to "timings").
	for name, object := range map[string]map[string]any{"startedDateTime time request response cache timings": e,
		"method url httpVersion cookies headers queryString headersSize bodySize":                request,
		"status statusText httpVersion cookies headers content redirectURL headersSize bodySize": response} {
		for field := range strings.FieldsSeq(name) {
			if object[field] == nil {
				t.Errorf("there is no %s", field)
			}
		}
	}
	want := map[string]any{"size": 9.0, "mimeType": "application/json", "text": `{"a":"b"}`}
	if diff := cmp.Diff(want, response["content"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"send": 0.0, "wait": 200.0, "receive": 12.0}, e["timings"]); diff != "" {
		t.Error(diff)
	}
	got, err := ReadHAR(strings.NewReader(archive))
	if err != nil || got[0].Response.Header.Get("Content-Encoding") != "" || string(got[0].Response.Body) != `{"a":"b"}` || !got[0].Redacted {
		t.Errorf("read again: %+v, %v", got, err)
	}
}

func TestReadBrowsers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file string
		want []*exchange.Exchange
	}{
		{"testdata/chrome.har", []*exchange.Exchange{
			{
				URL: "https://api.example.com/v1/items?page=2", Path: "/v1/items?page=2", Host: "api.example.com", Method: "POST", Status: 201,
				Start: time.Date(2026, 3, 4, 5, 6, 7, 891e6, time.UTC), Duration: 84500 * time.Microsecond, Waited: 82250 * time.Microsecond,
				Request:  exchange.Message{Header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Mozilla/5.0"}}, Body: []byte(`{"name":"é"}`), Size: 13},
				Response: exchange.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"id":1}`), Size: 8},
			},
			{
				URL: "https://cdn.example.com/logo.png", Path: "/logo.png", Host: "cdn.example.com", Method: "GET", Status: 200,
				Start: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC), Duration: 10 * time.Millisecond, Waited: 9 * time.Millisecond,
				Request:  exchange.Message{Header: http.Header{}},
				Response: exchange.Message{Header: http.Header{"Content-Type": {"image/png"}}, Body: []byte("\x89PNG"), Size: 4},
			},
			{
				URL: "https://down.example.com/", Path: "/", Host: "down.example.com", Method: "GET", Err: "net::ERR_CONNECTION_REFUSED",
				Start: time.Date(2026, 3, 4, 5, 6, 9, 0, time.UTC), Duration: 3 * time.Millisecond, Waited: 3 * time.Millisecond,
				Request: exchange.Message{Header: http.Header{}}, Response: exchange.Message{Header: http.Header{}},
			},
			{
				URL: "wss://live.example.com/socket", Path: "/socket", Host: "live.example.com", Method: "GET", Status: 101, Upgrade: "websocket",
				Start: time.Date(2026, 3, 4, 5, 6, 10, 0, time.UTC), Duration: 2 * time.Millisecond, Waited: time.Millisecond,
				Request:  exchange.Message{Header: http.Header{}},
				Response: exchange.Message{Header: http.Header{}},
				Messages: []exchange.StreamMessage{
					{Time: time.Date(2026, 3, 4, 5, 6, 10, 5e8, time.UTC), From: exchange.FromVisitor, Kind: exchange.Text, Data: []byte("ping"), Size: 4},
					{Time: time.Date(2026, 3, 4, 5, 6, 11, 0, time.UTC), From: exchange.FromService, Kind: exchange.Binary, Data: []byte{1, 2}, Size: 2},
				},
			},
		}},
		{"testdata/firefox.har", []*exchange.Exchange{
			{
				URL: "http://localhost:3000/login", Path: "/login", Host: "localhost:3000", Method: "POST", Status: 302,
				Start: time.Date(2026, 3, 4, 4, 6, 7, 123e6, time.UTC), Duration: 14 * time.Millisecond, Waited: 14 * time.Millisecond,
				Request: exchange.Message{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Host": {"localhost:3000"}},
					Body: []byte("user=u&password=p%20q"), Size: 21},
				Response: exchange.Message{Header: http.Header{"Location": {"/"}, "Set-Cookie": {"a=1", "b=2"}}},
			},
			{
				URL: "http://localhost:3000/app.js", Path: "/app.js", Host: "localhost:3000", Method: "GET", Status: 200,
				Start: time.Date(2026, 3, 4, 4, 6, 8, 0, time.UTC), Duration: 5 * time.Millisecond, Waited: 4 * time.Millisecond,
				Request:  exchange.Message{Header: http.Header{}},
				Response: exchange.Message{Header: http.Header{"Content-Encoding": {"br"}}, Size: 12345, Dropped: true},
			},
		}},
	}
	for _, test := range tests {
		f, err := os.Open(test.file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := ReadHAR(f)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.file, diff)
		}
	}
}

func TestReadBroken(t *testing.T) {
	t.Parallel()
	const entry = `{"request":{"method":"GET","url":"http://a/"},"response":{"status":200}}`
	tests := []struct {
		name, text string
		want       error
		read       int
	}{
		{"empty", "", ErrNotHAR, 0},
		{"text", "<html>", ErrNotHAR, 0},
		{"list", "[]", ErrNotHAR, 0},
		{"other JSON", `{"a":1}`, ErrNotHAR, 0},
		{"log is no object", `{"log":[]}`, ErrNotHAR, 0},
		{"entries is no list", `{"log":{"entries":{}}}`, ErrNotHAR, 0},
		{"cut", `{"log":{"entries":[` + entry + `,` + entry[:20], io.ErrUnexpectedEOF, 1},
		{"cut between", `{"log":{"entries":[` + entry, io.ErrUnexpectedEOF, 1},
		{"too large", `{"log":{"entries":[` + entry + `,` + strings.Repeat(" ", 5000) + entry + `]}}`, ErrTooLarge, 1},
		{"too large at the start", `{"a":"` + strings.Repeat(" ", 5000) + `"}`, ErrTooLarge, 0},
		{"wrong types", `{"log":{"entries":[null,7,` + strings.Replace(entry, `"GET"`, `{}`, 1) + `,{"request":[]},` + entry + `]}}`, nil, 2},
		{"after other things", "\ufeff" + ` {"x":[{"log":1}],"log":{"pages":[{}],"entries":[` + entry + `],"comment":""}} `, nil, 1},
	}
	for _, test := range tests {
		got, err := readHAR(strings.NewReader(test.text), bounds{4096, 4096, 100})
		if !errors.Is(err, test.want) || len(got) != test.read {
			t.Errorf("%s: %d read, %v", test.name, len(got), err)
		}
	}
	many := `{"log":{"entries":[` + strings.Repeat(`{"request":{"url":"a"}},`, maxEntries+1) + `{}]}}`
	if got, err := ReadHAR(strings.NewReader(many)); !errors.Is(err, ErrTooLarge) || len(got) != maxEntries {
		t.Errorf("many: %d, %v", len(got), err)
	}
}

// TestReadHostile checks the bounds of one entry.
func TestReadHostile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxField)
	text := `{"log":{"entries":[{"startedDateTime":"never","time":1e300,"timings":{"receive":-1},"request":{"method":"` + long + `","url":"` + long + `","bodySize":1e300,
		"headers":[{"name":"A","value":"b\r\nInjected: c"},{"name":"bad name","value":""},{"name":"B","value":"\u0000"},` + strings.Repeat(`{"name":"C","value":"d"},`, 1000) + `{}]},
		"response":{"status":-5,"content":{"text":"!","encoding":"base64","size":"NaN"},"_error":"` + long + `"},
		"_webSocketMessages":[{"opcode":99},{"opcode":1,"time":1e300,"data":"` + long + `"}` + strings.Repeat(`,{"opcode":1}`, maxMessages) + `]}]}}`
	got, err := ReadHAR(strings.NewReader(text))
	if err != nil || len(got) != 1 {
		t.Fatalf("%d, %v", len(got), err)
	}
	x := got[0]
	if len(x.Method) > 64 || len(x.URL) > maxField || len(x.Err) > 4<<10 || x.Duration > 31*24*time.Hour || x.Status != 0 || x.Request.Size < 0 || !x.Start.IsZero() {
		t.Errorf("%.300s", Raw(x, Options{}))
	}
	if h := x.Request.Header; len(h["C"]) > maxFields || h.Get("Injected") != "" || len(h["B"]) != 0 || len(h) != 2 {
		t.Errorf("header: %d names, %v", len(h), h["A"])
	}
	if n := len(x.Messages); n > maxMessages || len(x.Messages[0].Data) > maxData || !x.Messages[0].Truncated || x.Skipped != 2 {
		t.Errorf("%d messages, %d skipped", n, x.Skipped)
	}
}

// TestReadBombs reads what takes many times its room once it is read. It does not
// run beside others, because it counts what is allocated.
func TestReadBombs(t *testing.T) {
	const size = 2 << 20
	tests := []struct {
		name, before, unit, after string
		skipped                   bool
	}{
		{"fields", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/","headers":[`, `{},`, `{}]}}]}}`, false},
		{"cookies", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/","cookies":[`, `{},`, `{}]}}]}}`, false},
		{"query", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/","queryString":[`, `{},`, `{}]}}]}}`, false},
		{"parameters", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/","postData":{"params":[`, `{},`, `{}]}}}]}}`, false},
		{"frames", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/"},"_webSocketMessages":[`, `{},`, `{}]}]}}`, true},
		{"events", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/"},"_eventSourceMessages":[`, `0,`, `0]}]}}`, true},
		{"joined fields", `{"log":{"entries":[{"request":{"method":"GET","url":"http://x/","headers":[`, `{"name":"a","value":"` + strings.Repeat(`\n`, 30_000) + `"},`, `{}]}}]}}`, false},
	}
	for _, test := range tests {
		text := test.before + strings.Repeat(test.unit, size/len(test.unit)) + test.after
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := ReadHAR(strings.NewReader(text))
		runtime.ReadMemStats(&after)
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %d exchanges, %v", test.name, len(got), err)
			continue
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*size {
			t.Errorf("%s: %d MB were allocated for %d MB", test.name, n>>20, size>>20)
		}
		if total := size/len(test.unit) + 1 - maxMessages; test.skipped && got[0].Skipped != total {
			t.Errorf("%s: %d of %d were skipped", test.name, got[0].Skipped, total)
		}
	}
}

func TestReadTooMuch(t *testing.T) {
	t.Parallel()
	const head = `{"log":{"entries":[`
	most := bounds{archive: 1 << 20, entry: 64 << 10, parts: 1000}
	fields := `{"request":{"method":"GET","headers":[` + strings.Repeat(`{"name":"a"},`, 400) + `{}]}},`
	for name, text := range map[string]string{
		"archive":      head + strings.Repeat(`{"comment":"x"},`, 1<<16) + `{}]}}`,
		"entries":      head + strings.Repeat(`{},`, maxEntries) + `{}]}}`,
		"a long entry": head + `{"comment":"` + strings.Repeat("x", 70<<10) + `"}]}}`,
		"fields":       head + strings.Repeat(fields, 3) + `{}]}}`,
	} {
		if _, err := readHAR(strings.NewReader(text), most); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := readHAR(strings.NewReader(head+strings.Repeat(`{"request":{"method":"GET"},"comment":"`+strings.Repeat("x", 50<<10)+`"},`, 10)+fields+fields+`{}]}}`), most); len(got) != 12 || err != nil {
		t.Errorf("what is not too much: %d exchanges, %v", len(got), err)
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`[]`: nil, `[ ]`: nil, `{"a":[1]}`: nil, `null`: nil, `"[1]"`: nil, `[1]`: {"1"}, `[1,"a,]\"",{"b":[2,{}]},[[]]]`: {"1", `"a,]\""`, `{"b":[2,{}]}`, `[[]]`},
		`["\\",null]`: {`"\\"`, "null"},
	} {
		var got []string
		for e := range elements([]byte(text)) {
			got = append(got, string(e))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func FuzzReadHAR(f *testing.F) {
	for _, file := range []string{"testdata/chrome.har", "testdata/firefox.har"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(written(f, Options{Secrets: true}, webhook(), socket(), events())))
	f.Add([]byte(`{"log":{"entries":[{"request":{"url":"a?b"},"response":{"content":{"text":null}}}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		exchanges, _ := readHAR(bytes.NewReader(text), bounds{1 << 20, 1 << 20, 1000})
		for _, x := range exchanges {
			CURL(x, Options{})
			Raw(x, Options{Secrets: true})
			Markdown(x, Options{})
		}
		once := written(t, Options{Secrets: true}, exchanges...)
		again, err := ReadHAR(strings.NewReader(once))
		if err != nil || len(again) != len(exchanges) {
			t.Fatalf("%d of %d, %v", len(again), len(exchanges), err)
		}
	})
}
