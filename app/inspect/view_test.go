package inspect

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

func typed(contentType string, body string) exchange.Message {
	return exchange.Message{Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body), Size: int64(len(body))}
}

// open lays out a whole body.
func open(t testing.TB, m exchange.Message, mode Mode) *View {
	t.Helper()
	v, err := New(t.Context(), m, mode)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.More(t.Context(), maxRows); err != nil {
		t.Fatal(err)
	}
	if !v.Done() {
		t.Error("there is no end")
	}
	return v
}

// marked are the rows, each span as a letter and its text.
func marked(v *View) string {
	var out strings.Builder
	for i := range v.Len() {
		l := v.Line(i)
		if l.Continued {
			out.WriteString("…")
		}
		at := 0
		for _, s := range l.Spans {
			out.WriteString(l.Text[at:s.Start])
			fmt.Fprintf(&out, "%c<%s>", "-ksnw.#"[s.Class], l.Text[s.Start:s.End])
			at = s.End
		}
		out.WriteString(l.Text[at:] + "\n")
	}
	return out.String()
}

func copied(t testing.TB, v *View) string {
	t.Helper()
	var out bytes.Buffer
	if err := v.WriteText(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPretty(t *testing.T) {
	t.Parallel()
	const js = "application/json; charset=utf-8"
	tests := []struct {
		name string
		m    exchange.Message
		kind Kind
		want string
	}{
		{"object", typed(js, `{"a" : [1,-2.50e+3,true ,null], "b":{},"c" :[ ] ,"d":{"é":"x\"y"}}`), JSON, `.<{>
  k<"a">.<: [>
    n<1>.<,>
    n<-2.50e+3>.<,>
    w<true>.<,>
    w<null>
  .<],>
  k<"b">.<: {},>
  k<"c">.<: [],>
  k<"d">.<: {>
    k<"é">.<: >s<"x\"y">
  .<}>
.<}>
`},
		{"one value", typed(js, ` "a" `), JSON, "s<\"a\">\n"},
		{"values after each other", typed("application/x-ndjson", "{\"a\":1}\n[2]\n3"), JSON, ".<{>\n  k<\"a\">.<: >n<1>\n.<}>\n.<[>\n  n<2>\n.<]>\nn<3>\n"},
		{"number that no float holds", typed(js, `[123456789012345678901234567890.10, 1E400]`), JSON, ".<[>\n  n<123456789012345678901234567890.10>.<,>\n  n<1E400>\n.<]>\n"},
		{"no JSON from somewhere", typed(js, "{\"a\":1,\n b: 2}"), JSON, ".<{>\n  k<\"a\">.<: >n<1>.<,>\nb: 2}\n"},
		{"not closed", typed(js, `{"a":[1,{"b":"c`), JSON, ".<{>\n  k<\"a\">.<: [>\n    n<1>.<,>\n    .<{>\n      k<\"b\">.<: >s<\"c>\n"},
		{"wrong bracket", typed(js, `[1}`), JSON, ".<[>\n  n<1>\n}\n"},
		{"without a type", typed("", ` {"a":1}`), JSON, ".<{>\n  k<\"a\">.<: >n<1>\n.<}>\n"},
		{"text that begins as JSON does", typed("text/plain", "[INFO] started"), Text, "[INFO] started\n"},
		{"control and direction", typed(js, "\"a\u202eb\x01\tc\u200d\""), JSON, "s<\"a\uFFFDb␁␉c\u200d\">\n"},
		{"form", typed("application/x-www-form-urlencoded", "a=1&b+c=d%20e%0af&=x&%zz&&"), Form, "k<a>s<: 1>\nk<b c>s<: d e>\n…s<f>\ns<: x>\nk<%zz>s<: >\n"},
		{"multipart", typed("multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nline 1\r\nline 2\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00\xff\x01\r\n--B--\r\n"),
			Multipart, "#<name=\"a\" · 14 B>\nline 1\nline 2\n\n#<name=\"f\"; filename=\"x.bin\" · application/octet-stream · 3 B>\n00000000  00 ff 01                                          |...|\n"},
		{"text", typed("text/plain", "a\tb\r\n\tc\n\nd\x1b[0m\n"), Text, "a   b\n    c\n\nd␛[0m\n"},
		{"markup is text", typed("text/html", "<b>x</b>"), Markup, "<b>x</b>\n"},
		{"binary", typed("application/octet-stream", "\x00\x01abc"), Binary, "#<00000000>  00 01 61 62 63                                    #<|>s<..abc>#<|>\n"},
		{"scripts", typed("application/javascript", "{\"a\":1}"), Text, "{\"a\":1}\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := open(t, test.m, Pretty)
			if v.Kind != test.kind {
				t.Errorf("kind %d", v.Kind)
			}
			if diff := cmp.Diff(test.want, marked(v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRawAndHex(t *testing.T) {
	t.Parallel()
	m := typed("application/json", "{\"a\" : 1}\nabcdefgh")
	raw := open(t, m, Raw)
	if got := marked(raw); got != "{\"a\" : 1}\nabcdefgh\n" {
		t.Errorf("raw: %s", got)
	}
	if got := copied(t, raw); got != string(m.Body) {
		t.Errorf("raw, copied: %q", got)
	}
	hex := open(t, m, Hex)
	want := "#<00000000>  7b 22 61 22 20 3a 20 31  7d 0a 61 62 63 64 65 66  #<|>s<{\"a\" : 1}.abcdef>#<|>\n" +
		"#<00000010>  67 68                                             #<|>s<gh>#<|>\n"
	if diff := cmp.Diff(want, marked(hex)); diff != "" {
		t.Error(diff)
	}
	if got := copied(t, hex); !strings.HasSuffix(got, "\n00000010  67 68                                             |gh|\n") {
		t.Errorf("hex, copied: %s", got)
	}
	if line := hex.Line(2); line.Text != "" {
		t.Errorf("beyond the end: %v", line)
	}
}

func TestCopied(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 100)
	tests := []struct{ kind, body, want string }{
		{"application/json", `{"a":["` + long + `",{}],"b":"\u00e9"}`, "{\n  \"a\": [\n    \"" + long + "\",\n    {}\n  ],\n  \"b\": \"\\u00e9\"\n}\n"},
		{"application/json", `[1, x]`, "[\n  1,\nx]"},
		{"application/x-www-form-urlencoded", "a=b%0Ac&d=" + strings.ReplaceAll(long, " ", "+"), "a: b\nc\nd: " + long + "\n"},
		{"text/plain", "a\tb\x00\r\n", "a\tb\x00\r\n"},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, copied(t, open(t, typed(test.kind, test.body), Pretty))); diff != "" {
			t.Errorf("%s: %s", test.kind, diff)
		}
	}
}

func TestLongRows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 25)
	tests := []struct{ name, kind, body string }{
		{"string", "application/json", `{"key":"` + long + `","b":1}`},
		{"escapes", "application/json", `["` + strings.Repeat(`\"`, 200) + `"]`},
		{"name", "application/json", `{"` + long + `":1}`},
		{"number", "application/json", `[` + long + `,2]`},
		{"wide runes", "application/json", `"` + strings.Repeat("日本語", 100) + `"`},
		{"depth", "application/json", strings.Repeat("[", 300) + `"` + long + `"` + strings.Repeat("]", 300)},
		{"text", "text/plain", long + "\n" + long[:120] + "\n" + long[:121] + "\nshort"},
		{"tabs", "text/plain", strings.Repeat("a\t", 200)},
		{"form", "application/x-www-form-urlencoded", long + "=" + long},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := open(t, typed(test.kind, test.body), Pretty)
			var joined strings.Builder
			for i := range v.Len() {
				checkLine(t, v.Line(i))
				joined.WriteString(strings.TrimSpace(v.Line(i).Text))
			}
			got := strings.ReplaceAll(joined.String(), "\": ", "\":")
			want := strings.ReplaceAll(strings.ReplaceAll(test.body, "\n", ""), "\t", "   ")
			if test.kind == "application/x-www-form-urlencoded" {
				want = strings.Replace(want, "=", ": ", 1)
			}
			if test.name == "tabs" {
				want = strings.ReplaceAll(want, " ", "")
				got = strings.ReplaceAll(got, " ", "")
			}
			if got != want {
				t.Errorf("%s\n%s", want, got)
			}
		})
	}
	v := open(t, typed("application/json", `{"key":"`+long+`","b":1}`), Pretty)
	if got := marked(v); !strings.Contains(got, "\n…      s<") || !strings.Contains(got, "\">.<,>\n  k<\"b\">") {
		t.Errorf("colours: %s", got)
	}
}

func checkLine(t testing.TB, l Line) {
	t.Helper()
	if n := utf8.RuneCountInString(l.Text); n > MaxRunes || !utf8.ValidString(l.Text) {
		t.Errorf("%d runes: %q", n, l.Text)
	}
	for _, r := range l.Text {
		if r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			t.Errorf("%q has %U", l.Text, r)
		}
	}
	at := 0
	for _, s := range l.Spans {
		if s.Start < at || s.End <= s.Start || s.End > len(l.Text) || s.Class == Plain || !utf8.ValidString(l.Text[s.Start:s.End]) {
			t.Errorf("spans %v of %q", l.Spans, l.Text)
		}
		at = s.End
	}
}

func gzipped(s string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	io.WriteString(w, s)
	w.Close()
	return out.Bytes()
}

func TestNotes(t *testing.T) {
	t.Parallel()
	js := func(body []byte, coding string) exchange.Message {
		return exchange.Message{Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {coding}}, Body: body, Size: int64(len(body))}
	}
	cut := func(m exchange.Message, n int) exchange.Message {
		m.Body, m.Truncated = m.Body[:n], true
		return m
	}
	plain := `{"a":"` + strings.Repeat("b", 200) + `"}`
	packed := gzipped(plain)
	tests := []struct {
		name  string
		m     exchange.Message
		notes []Note
		first string
	}{
		{"nothing", exchange.Message{}, nil, ""},
		{"not kept", exchange.Message{Size: 12, Dropped: true}, []Note{{Kind: Dropped, B: 12}}, ""},
		{"cut", cut(typed("application/json", plain), 50), []Note{{Kind: Truncated, A: 50, B: int64(len(plain))}}, "{"},
		{"cut in a rune", cut(typed("application/json", `["é"]`), 3), []Note{{Kind: Truncated, A: 3, B: 6}}, "["},
		{"cut in a keyword", cut(typed("application/json", `[true]`), 3), []Note{{Kind: Truncated, A: 3, B: 6}}, "["},
		{"gzip", js(packed, "gzip"), []Note{{Kind: Decoded, A: int64(len(packed)), B: int64(len(plain)), Text: "gzip"}}, "{"},
		{"no gzip", js([]byte(`{"a":1}`), "gzip"), []Note{{Kind: NotDecoded, Text: "gzip"}}, "{"},
		{"unknown", js([]byte(`{"a":1}`), "zz"), []Note{{Kind: NotDecoded, Text: "zz"}}, "{"},
		{"gzip without its end", js(packed[:len(packed)-4], "gzip"), []Note{{Kind: DecodedInPart, A: int64(len(plain)), Text: "gzip"}}, "{"},
		{"bomb", js(gzipped(strings.Repeat(" ", maxBody)+"1"), "gzip"), []Note{{Kind: TooLong, A: maxBody, Text: "gzip"}}, ""},
		{"malformed", typed("application/json", `{"a":1,]`), []Note{{Kind: Malformed, A: 7}}, "{"},
		{"not closed", typed("application/json", `{"a":1`), []Note{{Kind: Malformed, A: 6}}, "{"},
		{"latin 1", typed("text/plain; charset=iso-8859-1", "caf\xe9"), []Note{{Kind: Charset, Text: "windows-1252"}}, "café"},
		{"latin 1, unsaid", typed("text/plain", "caf\xe9 au lait"), []Note{{Kind: Charset, Text: "windows-1252"}}, "café au lait"},
		{"windows-1250", typed("text/plain; charset=windows-1250", "\xe8\xf8"), []Note{{Kind: Charset, Text: "windows-1250"}}, "čř"},
		{"shift-jis in HTML", typed("text/html", "<meta charset=shift_jis>\x93\xfa\x96\x7b"), []Note{{Kind: Charset, Text: "shift_jis"}}, "<meta charset=shift_jis>日本"},
		{"utf-16", typed("text/plain", "\xff\xfea\x00b\x00"), []Note{{Kind: Charset, Text: "utf-16le"}}, "ab"},
		{"byte order mark", typed("text/plain", "\ufeffab"), nil, "ab"},
		{"broken image", typed("image/avif", "\x00\x01"), []Note{{Kind: ImageBroken, Text: "AVIF"}}, "00000000  00 01                                             |..|"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v, err := New(t.Context(), test.m, Pretty)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.notes, v.Notes); diff != "" {
				t.Error(diff)
			}
			if got := v.Line(0).Text; got != test.first {
				t.Errorf("begins with %q", got)
			}
			for _, n := range v.Notes {
				if n.String() == "" {
					t.Errorf("no words for %+v", n)
				}
			}
		})
	}
}

func TestStreamMessages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		m    exchange.StreamMessage
		want string
	}{
		{"JSON", exchange.StreamMessage{Kind: exchange.Text, Data: []byte(`{"a":1}`)}, ".<{>\n  k<\"a\">.<: >n<1>\n.<}>\n"},
		{"text", exchange.StreamMessage{Kind: exchange.Event, Data: []byte("a\nb")}, "a\nb\n"},
		{"binary", exchange.StreamMessage{Kind: exchange.Binary, Data: []byte{0, 1}}, "#<00000000>  00 01                                             #<|>s<..>#<|>\n"},
		{"close", exchange.StreamMessage{Kind: exchange.Close, Data: []byte("\x03\xe8bye")}, "1000 bye\n"},
		{"close without words", exchange.StreamMessage{Kind: exchange.Close}, ""},
		{"half a close", exchange.StreamMessage{Kind: exchange.Close, Data: []byte("\x03")}, "#<00000000>  03                                                #<|>s<.>#<|>\n"},
	}
	for _, test := range tests {
		v, err := NewMessage(t.Context(), test.m, Pretty)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, marked(v)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestLazy checks that the start is there before the rest is laid out, that the rest
// comes on demand, and that reading is possible all the time.
func TestLazy(t *testing.T) {
	t.Parallel()
	v, err := New(t.Context(), typed("application/json", "["+strings.Repeat("1,", 100_000)+"x]"), Pretty)
	if err != nil {
		t.Fatal(err)
	}
	if n := v.Len(); n < firstRows || n > 4*batch || v.Done() || len(v.Notes) > 0 {
		t.Errorf("at first %d rows, done: %v, %v", n, v.Done(), v.Notes)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.More(canceled, maxRows); !errors.Is(err, context.Canceled) || v.Done() {
		t.Errorf("canceled: %v", err)
	}
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !v.Done() {
				if got := v.Line(v.Len() - 1).Text; got == "" {
					t.Error("an empty row")
					return
				}
			}
		})
	}
	if err := v.More(t.Context(), maxRows); err != nil {
		t.Error(err)
	}
	readers.Wait()
	if n := v.Len(); n != 100_002 || v.Line(n-1).Text != "x]" {
		t.Errorf("%d rows, the last is %q", n, v.Line(n-1).Text)
	}
	if diff := cmp.Diff([]Note{{Kind: Malformed, A: 200_001}}, v.AllNotes()); diff != "" {
		t.Error(diff)
	}
	if _, err := New(canceled, typed("application/json", "[1]"), Pretty); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled at the start: %v", err)
	}
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	v := open(t, typed("text/plain", strings.Repeat("\n", maxRows+5)), Pretty)
	if v.Len() != maxRows {
		t.Errorf("%d rows", v.Len())
	}
	if diff := cmp.Diff([]Note{{Kind: TooManyRows, A: maxRows}}, v.AllNotes()); diff != "" {
		t.Error(diff)
	}
}

var contentTypes = []string{
	"application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/html", "",
	"text/plain; charset=utf-16", "image/png",
}

func FuzzView(f *testing.F) {
	for i, body := range []string{
		`{"a":[1,"b\"\u00e9",null],"` + strings.Repeat("long", 50) + `":-1e5}`, "a\tb\r\n" + strings.Repeat("é", 200), "a=b%20c&d=%0a", "--b\r\nA: b\r\n\r\nx\r\n--b--",
		"<p>\u202e", `[{"":`, "\xff\xfea\x00", "\x89PNG\r\n\x1a\n",
	} {
		f.Add(uint8(i), uint8(0), []byte(body))
	}
	f.Fuzz(func(t *testing.T, kind, mode uint8, body []byte) {
		m := typed(contentTypes[int(kind)%len(contentTypes)], string(body))
		m.Truncated = mode&4 != 0
		v := open(t, m, Mode(mode%3))
		for i := range v.Len() {
			checkLine(t, v.Line(i))
		}
		copied(t, v)
		if v.Kind != JSON || v.Mode != Pretty || !json.Valid(body) || !bytes.Equal(v.text, body) {
			return
		}
		if drawn, whole := unwrapped(v), copied(t, v); strings.Trim(whole, printable) == "" && drawn != whole {
			t.Errorf("rows say %q, and not %q", drawn, whole)
		}
		var want, got bytes.Buffer
		if err := json.Compact(&want, body); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&got, []byte(copied(t, v))); err != nil || got.String() != want.String() {
			t.Errorf("%s became %s: %v", want.String(), got.String(), err)
		}
		if notes := v.AllNotes(); !m.Truncated && len(notes) > 0 {
			t.Errorf("%v", notes)
		}
	})
}

// printable are the characters that are drawn as they are.
const printable = "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// unwrapped are the rows with what was cut put together again. It is right for depths
// whose indent is drawn in full.
func unwrapped(v *View) string {
	var out strings.Builder
	for i, r := range v.rows {
		text := v.Line(i).Text
		if r.continued {
			text = text[r.indent:]
		} else if i > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(text)
	}
	return out.String() + "\n"
}

// tenMegabytes is a body as APIs send it.
func tenMegabytes() []byte {
	var out bytes.Buffer
	out.WriteString(`{"items":[`)
	for i := 0; out.Len() < 10<<20; i++ {
		fmt.Fprintf(&out, `{"id":%d,"name":"Item number %d","price":%d.50,"tags":["a","b","c"],"nested":{"ok":true,"none":null}},`, i, i, i)
	}
	out.WriteString(`{}]}`)
	return out.Bytes()
}

func BenchmarkFirstScreen(b *testing.B) {
	text := tenMegabytes()
	one := []byte(`{"a":"` + strings.Repeat("x", 10<<20) + `"}`)
	for _, test := range []struct {
		name   string
		body   []byte
		coding string
	}{
		{"json", text, ""},
		{"gzip", gzipped(string(text)), "gzip"},
		{"one string", one, ""},
	} {
		b.Run(test.name, func(b *testing.B) {
			m := exchange.Message{Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {test.coding}}, Body: test.body}
			b.ReportAllocs()
			for b.Loop() {
				v, err := New(b.Context(), m, Pretty)
				if err != nil {
					b.Fatal(err)
				}
				for i := range 50 {
					v.Line(i)
				}
			}
		})
	}
}

func BenchmarkWholeLayout(b *testing.B) {
	m := typed("application/json", string(tenMegabytes()))
	b.SetBytes(m.Size)
	b.ReportAllocs()
	for b.Loop() {
		v, _ := New(b.Context(), m, Pretty)
		if err := v.More(b.Context(), maxRows); err != nil {
			b.Fatal(err)
		}
	}
}
