package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// output is what a function has written, line by line.
type output struct{ bytes.Buffer }

func (o *output) lines(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for text := range bytes.Lines(o.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

func (o *output) line(t *testing.T) map[string]any {
	t.Helper()
	lines := o.lines(t)
	if len(lines) != 1 {
		t.Fatalf("%d lines, want one:\n%s", len(lines), o)
	}
	return lines[0]
}

func TestLines(t *testing.T) {
	t.Parallel()
	var out output
	log := NewLogger(&out, slog.LevelInfo)
	log.Debug("not at this level")
	log.Warn("what happened", "n", 7, "wait", 1500*time.Millisecond, "cause", errors.New("x"), "u", link("https://h/p?token=hush"))
	line := out.line(t)
	for name, want := range map[string]any{
		"level": "WARN", "message": "what happened", "n": 7.0, "wait": 1500.0, "cause": "x", "u": "https://h/p?\u2026",
	} {
		if line[name] != want {
			t.Errorf("%s: %v, want %v", name, line[name], want)
		}
	}
	at, err := time.Parse(time.RFC3339, fmt.Sprint(line["timestamp"]))
	if err != nil || time.Since(at) > time.Minute || time.Since(at) < -time.Minute {
		t.Errorf("timestamp %v: %v", line["timestamp"], err)
	}
	if line["time"] != nil || line["msg"] != nil {
		t.Errorf("names that Lambda does not know: %v", line)
	}
}

// An attribute may have the name of one that each line has: it never takes its place,
// whatever its value is, and whether it is the line's or the logger's.
func TestBorrowedNames(t *testing.T) {
	t.Parallel()
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, "timestamp", "message"} {
		for _, value := range []any{7, "theirs", time.Now(), slog.LevelError} {
			var out output
			log := NewLogger(&out, slog.LevelInfo)
			log.Info("what happened", key, value)
			log.With(key, value).Info("what happened")
			for text := range strings.Lines(out.String()) {
				for _, own := range []string{"timestamp", "level", "message", key + "_"} {
					if n := strings.Count(text, `"`+own+`":`); n != 1 {
						t.Errorf("%s, %v: %d members %s in %s", key, value, n, own, text)
					}
				}
				if !strings.Contains(text, `"level":"INFO"`) || !strings.Contains(text, `"message":"what happened"`) {
					t.Errorf("%s, %v: %s", key, value, text)
				}
			}
		}
	}
}

// Nothing that could be a secret gets into the log, whoever hands it over.
func TestNoSecretsInLines(t *testing.T) {
	t.Parallel()
	var out output
	log := NewLogger(&out, slog.LevelDebug).With("session", "hush")
	log.Error("GET https://h/p?X-Amz-Signature=hush failed",
		"token", "hush", "Authorization", "Bearer hush", "set-cookie", "hush", "rawQueryString", "hush", "query", []string{"hush"},
		"responseURL", "https://h/hush", "body", []byte("hush"), "keys", "hush",
		"cause", fmt.Errorf("outer: %w", &url.Error{Op: "Put", URL: "https://h/p?a=hush&b=hush", Err: errors.New("refused")}),
		"target", "/shop/?token=hush", slog.Group("inner", "token", "hush", "path", "/?hush"))
	log.WithGroup("g").Info("x", "secret", "hush")
	if text := out.String(); strings.Contains(text, "hush") {
		t.Errorf("a secret in the log:\n%s", text)
	}
	lines := out.lines(t)
	if got, want := lines[0]["cause"], `outer: Put "https://h/p?`+"\u2026"+`": refused`; got != want {
		t.Errorf("cause %q, want %q", got, want)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                           "",
		"why? because":               "why? because",
		"why?":                       "why?",
		"/a?b=c d":                   "/a?\u2026 d",
		"/a?b?c\n/d?e":               "/a?\u2026\n/d?\u2026",
		`"https://h/?a" "x"`:         `"https://h/?` + "\u2026" + `" "x"`,
		"\xff":                       "\ufffd",
		strings.Repeat("\u00e9", 40): strings.Repeat("\u00e9", 15) + "\u2026",
	} {
		got := clean(in, 31)
		if got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("https://h/?a=b c?d", 10)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most &= 1<<10 - 1
		got := clean(s, most)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		for i := range len(got) {
			if rest := got[i+1:]; got[i] == '?' && rest != "" && !strings.HasPrefix(rest, "\u2026") && !strings.ContainsAny(rest[:1], " \t\r\n\"'<>") {
				t.Errorf("%q has a query string", got)
			}
		}
	})
}
