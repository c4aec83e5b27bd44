package share

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http/httpguts"

	"culvert/app/exchange"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func webhook() *exchange.Exchange {
	return &exchange.Exchange{
		ID: "1", Tunnel: "shop", Target: "localhost:5173", URL: "https://shop.tunnel.example/hooks?id=7&token=abc", Path: "/hooks?id=7&token=abc",
		Host: "shop.tunnel.example", Start: noon, Duration: 212 * time.Millisecond, Waited: 200 * time.Millisecond,
		RemoteAddr: "203.0.113.7", Method: "POST", Status: 500,
		Request: exchange.Message{Header: http.Header{
			"Authorization": {"Bearer s3cret-value-1"}, "Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"14"},
			"X-Forwarded-For": {"203.0.113.7"}, "X-Empty": {""}},
			Body: []byte(`{"it's":"x"}`), Size: 12},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"text/plain"}, "Set-Cookie": {"sid=abc; Path=/"}}, Body: []byte("Traceback\n"), Size: 10},
	}
}

func TestCURL(t *testing.T) {
	t.Parallel()
	binary := webhook()
	binary.Request.Body, binary.Request.Truncated, binary.Request.Size = []byte("\x00\x01"), true, 99
	binary.Request.Header.Del("Content-Type")
	long := webhook()
	long.Request.Body = []byte(strings.Repeat("x", maxArgument+1))
	odd := &exchange.Exchange{Method: "DELETE", URL: "http://a.example/[1]/../x?q='", Request: exchange.Message{Header: http.Header{"@/etc/passwd": {"x"}, "X": {"a\r\nb"}}}}
	socket := &exchange.Exchange{Method: "GET", URL: "https://a.example/ws", Upgrade: "websocket", Request: exchange.Message{Header: http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Key": {"x"}}}}
	tests := []struct {
		name string
		x    *exchange.Exchange
		o    Options
		want string
	}{
		{"masked", webhook(), Options{}, `curl \
  'https://shop.tunnel.example/hooks?id=7&token=REDACTED' \
  -H 'Authorization: Bearer REDACTED' \
  -H 'Content-Type: application/json' \
  -H 'X-Empty;' \
  --compressed \
  --data-raw '{"it'\''s":"x"}'`},
		{"with secrets", webhook(), Options{Secrets: true}, `curl \
  'https://shop.tunnel.example/hooks?id=7&token=abc' \
  -H 'Authorization: Bearer s3cret-value-1' \
  -H 'Content-Type: application/json' \
  -H 'X-Empty;' \
  --compressed \
  --data-raw '{"it'\''s":"x"}'`},
		{"binary, cut", binary, Options{}, `# Of the body, only the first 2 of 99 bytes were kept.
# The body is 2 bytes of binary data. Save it as body.bin first.
curl \
  'https://shop.tunnel.example/hooks?id=7&token=REDACTED' \
  -H 'Authorization: Bearer REDACTED' \
  -H 'X-Empty;' \
  -H 'Content-Type:' \
  --compressed \
  --data-binary @body.bin`},
		{"odd", odd, Options{}, "curl \\\n  -X DELETE \\\n  'http://a.example/[1]/../x?q='\\''' \\\n  --globoff \\\n  --path-as-is"},
		{"head", &exchange.Exchange{Method: "HEAD", Host: "a.example", Path: "/"}, Options{}, "curl \\\n  --head \\\n  'https://a.example/'"},
		{"file", &exchange.Exchange{Method: "GET", URL: "file:///etc/passwd"}, Options{}, "curl \\\n  'http://etc/passwd'"},
		{"option", &exchange.Exchange{Method: "GET", URL: "-oevil"}, Options{}, "curl \\\n  'http://'"},
		{"websocket", socket, Options{}, "curl \\\n  'wss://a.example/ws'"},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, CURL(test.x, test.o)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	if got := CURL(long, Options{}); !strings.HasPrefix(got, "# The body has 102401 bytes") || !strings.HasSuffix(got, "--data-binary @body.txt") {
		t.Errorf("long: %.200s", got)
	}
}

// shells are those that people paste commands into. Only the first ones have $'…'.
var shells = []struct {
	name    string
	escapes bool
}{{"bash", true}, {"zsh", true}, {"ksh", true}, {"sh", false}, {"dash", false}, {"fish", false}}

// shell runs a command with a curl that prints its arguments, in an empty folder.
func shell(t *testing.T, name, command string) (args []string, folder string, err error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil || runtime.GOOS == "windows" {
		t.Skipf("there is no %s", name)
	}
	bin, folder := t.TempDir(), t.TempDir()
	curl := filepath.Join(bin, "curl")
	if err := os.WriteFile(curl, []byte("#!/bin/sh\nfor a in \"$@\"; do printf '%s\\0' \"$a\"; done\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "-c", command)
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	out, err := cmd.Output()
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), folder, err
}

func TestCURLInAShell(t *testing.T) {
	t.Parallel()
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := shell(t, sh.name, CURL(webhook(), Options{Secrets: true}))
			want := []string{"https://shop.tunnel.example/hooks?id=7&token=abc", "-H", "Authorization: Bearer s3cret-value-1",
				"-H", "Content-Type: application/json", "-H", "X-Empty;", "--compressed", "--data-raw", `{"it's":"x"}`}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

// TestCURLRunsNothingElse pastes what visitors may send into every shell there is.
func TestCURLRunsNothingElse(t *testing.T) {
	t.Parallel()
	bodies := []string{
		"'; touch PWNED; '", `\'; touch PWNED; '`, `\'; touch PWNED; #`, `a\\'; touch PWNED; #`, "\x01'; touch PWNED; #", "\x01\\'; touch PWNED; #",
		"\x01\\\\'; touch PWNED; #", "\xff';touch PWNED;'", "\r\n`touch PWNED`", "\x01`touch PWNED`", "\x01$(touch PWNED)", "(touch PWNED)", "\u202e\n'\ntouch PWNED\n'",
		"\x01\" ; touch PWNED ; \"", `"; touch PWNED; "`, `\`, "\x01\\",
	}
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			for _, body := range bodies {
				x := &exchange.Exchange{URL: "https://a.example/" + body, Method: "POST", Request: exchange.Message{Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(body)}}
				if httpguts.ValidHeaderFieldValue(body) {
					x.Request.Header.Set("X-Note", body)
				}
				command := CURL(x, Options{Secrets: true})
				args, folder, err := shell(t, sh.name, command)
				if made, _ := os.ReadDir(folder); len(made) > 0 {
					t.Errorf("%q ran a command: %s", body, command)
				}
				if sh.escapes || !strings.Contains(command, "$'") {
					if err != nil || !slices.Contains(args, x.URL) || isText([]byte(body)) && args[len(args)-1] != body {
						t.Errorf("%q came as %q (%v)", body, args, err)
					}
				}
			}
		})
	}
}

func TestQuoteInAShell(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	seen := []string{"a", "7", "'", "\"", "\\", "$", "`", "$(id)", "!", "\n", "\t", "é", "日", ";", "&", " ", "*", "~", "#", "{", "}", "%", "?", "<", ">", "|"}
	all := append([]string{"\r", "\x1b[201~", "\x7f", "\xff", "\u202e"}, seen...)
	words := func(alphabet []string) []string {
		words := []string{"", "-X", "@/etc/passwd"}
		for range 300 {
			var word strings.Builder
			for range random.IntN(8) {
				word.WriteString(alphabet[random.IntN(len(alphabet))])
			}
			words = append(words, word.String())
		}
		return words
	}
	visible, every := words(seen), words(all)
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			words := visible
			if sh.escapes {
				words = every
			}
			command := "curl"
			for _, word := range words {
				quoted := quote(word)
				command += " " + quoted
				if visible := clean(quoted); visible != quoted {
					t.Errorf("%q has what cannot be seen", quoted)
				}
			}
			got, _, err := shell(t, sh.name, command)
			if diff := cmp.Diff(words, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("it's")
	f.Add("\x1b\\'\xff\n1")
	f.Fuzz(func(t *testing.T, s string) {
		if got := unquote(t, quote(s)); got != strings.ReplaceAll(s, "\x00", "") {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// unquote reads one word as POSIX.1-2024 has it (XCU, 2.2).
func unquote(t *testing.T, word string) string {
	t.Helper()
	var out strings.Builder
	escapes := strings.HasPrefix(word, "$'")
	if escapes {
		word = word[1:]
	}
	in := false
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c == '\'':
			in = !in
		case c == '\\' && (!in || escapes):
			i++
			switch c := word[i]; {
			case c >= '0' && c <= '7':
				var octal byte
				fmt.Sscanf(word[i:i+3], "%o", &octal)
				out.WriteByte(octal)
				i += 2
			default:
				out.WriteByte(c)
			}
		case !in && (c < 'A' || c > 'Z'):
			t.Fatalf("%q: %q is outside of quotes", word, c)
		default:
			out.WriteByte(c)
		}
	}
	if in {
		t.Fatalf("%q does not end", word)
	}
	return out.String()
}

func TestRaw(t *testing.T) {
	t.Parallel()
	want := `POST /hooks?id=7&token=REDACTED HTTP/1.1
Host: shop.tunnel.example
Accept-Encoding: gzip
Authorization: Bearer REDACTED
Content-Length: 14
Content-Type: application/json
X-Empty: 
X-Forwarded-For: 203.0.113.7

{"it's":"x"}

HTTP/1.1 500 Internal Server Error
Content-Type: text/plain
Set-Cookie: sid=REDACTED; Path=/

Traceback
`
	if diff := cmp.Diff(want, Raw(webhook(), Options{})); diff != "" {
		t.Error(diff)
	}
	x := &exchange.Exchange{Method: "GET", Path: "/", Err: "connection\nrefused", Request: exchange.Message{
		Header: http.Header{"A": {"b\r\nInjected: c"}}, Body: []byte{0}, Size: 5, Truncated: true}}
	want = "GET / HTTP/1.1\nA: b  Injected: c\n\n[1 bytes of binary data]\n[only the first 1 of 5 bytes were kept]\n\n[no answer: connection refused]\n"
	if diff := cmp.Diff(want, Raw(x, Options{})); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	x := webhook()
	x.Request.Header = http.Header{"Content-Type": {"application/json"}}
	x.Err = "it `failed`"
	x.Response.Body = []byte("```\ncode\n```\x1b[0m")
	x.Response.Header.Del("Set-Cookie")
	x.Messages = []exchange.StreamMessage{
		{Time: noon, From: exchange.FromVisitor, Kind: exchange.Text, Data: []byte("hello\nthere"), Size: 11},
		{Time: noon, From: exchange.FromService, Kind: exchange.Binary, Data: []byte("x"), Size: 1},
		{Time: noon, From: exchange.FromService, Kind: exchange.Event, Name: "tick", Data: []byte("1"), Size: 1},
		{Time: noon, From: exchange.FromService, Kind: exchange.Close, Data: []byte("\x03\xe8"), Size: 2},
	}
	x.Skipped = 3
	want := "### `POST /hooks?id=7&token=REDACTED` → 500 Internal Server Error\n\n" +
		"2026-01-02 12:00:00 UTC · 212ms · `shop → localhost:5173` · secrets were taken out\n\n" +
		"**Error:** `` it `failed` ``\n\n" +
		"**Request**\n\n```http\nPOST /hooks?id=7&token=REDACTED HTTP/1.1\nHost: shop.tunnel.example\nContent-Type: application/json\n```\n\n" +
		"```json\n{\n  \"it's\": \"x\"\n}\n```\n\n" +
		"**Response**\n\n```http\nHTTP/1.1 500 Internal Server Error\nContent-Type: text/plain\n```\n\n" +
		"````\n```\ncode\n```\uFFFD[0m\n````\n\n" +
		"**Messages**\n\n```\n… 3 before\n12:00:00.000 → hello there\n12:00:00.000 ← [1 bytes of binary data]\n12:00:00.000 ← tick 1\n12:00:00.000 ← close [2 bytes of binary data]\n```\n"
	if diff := cmp.Diff(want, Markdown(x, Options{})); diff != "" {
		t.Error(diff)
	}
	x.Response = exchange.Message{Body: []byte(strings.Repeat("é\n", maxQuoted)), Size: 1 << 20, Truncated: true}
	got := Markdown(x, Options{})
	if len(got) > 2*maxQuoted || !strings.Contains(got, "\n…\n```\n\n_Of the body, only the first") {
		t.Errorf("a long body: %d bytes", len(got))
	}
}
