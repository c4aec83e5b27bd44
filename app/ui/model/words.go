package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"culvert/app/ui/words"
)

// StatusWords says in one line where the tunnel stands: "Online · 12 min",
// "Reconnecting in 4 s · attempt 3". The cause is a text of its own.
func StatusWords(t Tunnel, now time.Time) string {
	switch t.State {
	case Connecting:
		return words.T("Connecting…")
	case Online:
		// Not by the second: a clock that runs for weeks would cost more than the tunnel.
		if now.Sub(t.Since) < time.Minute {
			return words.T("Online · just now")
		}
		return words.T("Online · %s", Elapsed(now.Sub(t.Since)))
	case Reconnecting:
		text := words.T("Reconnecting now")
		if wait := t.NextTry.Sub(now); wait > 0 {
			// Rounded up: a countdown that says 0 and does nothing looks stuck.
			text = words.T("Reconnecting in %s", Elapsed(wait+time.Second-time.Nanosecond))
		}
		if t.Attempt > 0 {
			text += " · " + words.T("attempt %d", t.Attempt)
		}
		return text
	default:
		return StateWord(t.State)
	}
}

// StateWord is the state in one word.
func StateWord(s State) string {
	switch s {
	case Connecting:
		return words.T("Connecting")
	case Online:
		return words.T("Online")
	case Reconnecting:
		return words.T("Reconnecting")
	case Refused:
		return words.T("Refused")
	default:
		return words.T("Stopped")
	}
}

// Elapsed is a length of time in its one or two largest units.
func Elapsed(d time.Duration) string {
	switch s := int64(d / time.Second); {
	case s < 60:
		return words.T("%d s", max(s, 0))
	case s < 3600:
		return words.T("%d min", s/60)
	case s < 24*3600:
		return words.T("%d h %d min", s/3600, s%3600/60)
	default:
		return words.T("%d d %d h", s/86400, s%86400/3600)
	}
}

// Took is how long a request lasted.
func Took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return words.T("<1 ms")
	case d < time.Second:
		return words.T("%d ms", d.Milliseconds())
	case d < time.Minute:
		return words.T("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	default:
		return Elapsed(d)
	}
}

// Size is a number of bytes in units of 1,024.
func Size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range []string{"KB", "MB", "GB", "TB"} {
		v /= 1024
		if v < 9.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
		if v < 1023.5 || unit == "TB" {
			return fmt.Sprintf("%.0f %s", v, unit)
		}
	}
	return ""
}

// Number writes n with thousands separated.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Sentence starts a message with a capital and ends it with a full stop: errors are
// written without either, and people read them here.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "!") && !strings.HasSuffix(text, "?") {
		text += "."
	}
	return text
}
