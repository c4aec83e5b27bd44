package host

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxText bounds a text in the log; lines are paid for by the byte.
	maxText = 512
	// maxStack is the same for the stack of a panic.
	maxStack = 8 << 10
	// stackKey is the attribute that may be so long.
	stackKey = "stack"
)

// NewLogger logs one JSON object a line, with the members by which Lambda sorts and
// filters lines of its JSON format, level and timestamp. Texts are bounded; what
// could be a secret is left out of them.
//
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(namesApart{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: tidy})})
}

// namesApart keeps attributes from taking the names of the members that each line has:
// of two members with one name readers keep either, and what happened would be lost.
type namesApart struct{ slog.Handler }

// Handle writes a line.
func (h namesApart) Handle(ctx context.Context, r slog.Record) error {
	apart := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		apart.AddAttrs(renamed(a))
		return true
	})
	return h.Handler.Handle(ctx, apart)
}

// WithAttrs gives a handler whose lines have more attributes.
func (h namesApart) WithAttrs(attrs []slog.Attr) slog.Handler {
	apart := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		apart[i] = renamed(a)
	}
	return namesApart{h.Handler.WithAttrs(apart)}
}

// WithGroup gives a handler whose attributes have their names in a group.
func (h namesApart) WithGroup(name string) slog.Handler { return namesApart{h.Handler.WithGroup(name)} }

// renamed is the attribute, under a name that is not one of each line's own, be they
// slog's or those that tidy makes of them.
func renamed(a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "timestamp", "message":
		a.Key += "_"
	}
	return a
}

// tidy is applied to every attribute that is no group.
func tidy(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			return slog.String("timestamp", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
		case slog.MessageKey:
			return slog.String("message", clean(a.Value.String(), maxText))
		case slog.LevelKey:
			return a
		}
	}
	if secret(a.Key) {
		return slog.String(a.Key, "(left out)")
	}
	most := maxText
	if a.Key == stackKey {
		most = maxStack
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, clean(a.Value.String(), most))
	case slog.KindDuration:
		return slog.Int64(a.Key, a.Value.Duration().Milliseconds())
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case error:
			return slog.String(a.Key, clean(v.Error(), most))
		case interface{ String() string }:
			return slog.String(a.Key, clean(v.String(), most))
		}
	}
	return a
}

// secret names attributes whose values have no place in a log, should anyone hand
// them over: request IDs of the protocol let their bearer answer.
func secret(key string) bool {
	switch strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key)) {
	case "authorization", "cookie", "setcookie", "token", "session", "secret", "key", "keys", "password", "resume",
		"query", "rawquery", "querystring", "rawquerystring", "ticket", "bodyurl", "responseurl", "upload", "body":
		return true
	}
	return false
}

// clean makes s short, valid, and free of query strings: errors of HTTP clients
// quote whole URLs, presigned ones and those with tokens among them.
func clean(s string, most int) string {
	if len(s) > most {
		end := most
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '?') + 1
		if at == 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:at])
		s = s[at:]
		end := strings.IndexAny(s, " \t\r\n\"'<>")
		if end < 0 {
			end = len(s)
		}
		if end > 0 {
			b.WriteString("…")
		}
		s = s[end:]
	}
}

// line writes one line at level, whatever the logger's own level is, if attrs has
// anything in it.
func (h *Host) line(ctx context.Context, level slog.Level, message string, attrs []slog.Attr) {
	if len(attrs) == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	_ = h.lines.Handle(ctx, r) // there is nowhere else to complain
}
