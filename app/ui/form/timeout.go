package form

import (
	"strconv"
	"strings"
	"time"
)

// The bounds of a timeout that a person may ask for.
const (
	minTimeout = time.Second
	maxTimeout = time.Hour
)

// ParseTimeout reads a length of time as people write it: "30", "30 s", "1m30s".
// Nothing is 0, which stands for the default. It reports whether that makes sense.
func ParseTimeout(text string) (time.Duration, bool) {
	text = strings.ToLower(strings.Join(strings.Fields(text), ""))
	if text == "" {
		return 0, true
	}
	text = strings.NewReplacer("min", "m", "sec", "s").Replace(text)
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds > int(maxTimeout/time.Second) {
			return 0, false
		}
		d = time.Duration(seconds) * time.Second
	}
	return d, d >= minTimeout && d <= maxTimeout
}

// TimeoutText writes a length of time as ParseTimeout reads it: "1 min 30 s".
func TimeoutText(d time.Duration) string {
	var parts []string
	if h := d / time.Hour; h > 0 {
		parts = append(parts, strconv.Itoa(int(h))+" h")
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		parts = append(parts, strconv.Itoa(int(m))+" min")
	}
	if s := d % time.Minute; s > 0 {
		parts = append(parts, strconv.FormatFloat(s.Seconds(), 'f', -1, 64)+" s")
	}
	return strings.Join(parts, " ")
}
