package form

import (
	"testing"
	"time"
)

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want time.Duration
		ok   bool
		text string
	}{
		{"", 0, true, ""},
		{"  ", 0, true, ""},
		{"30", 30 * time.Second, true, "30 s"},
		{" 30 s ", 30 * time.Second, true, "30 s"},
		{"30S", 30 * time.Second, true, "30 s"},
		{"2 min", 2 * time.Minute, true, "2 min"},
		{"90", 90 * time.Second, true, "1 min 30 s"},
		{"1m30s", 90 * time.Second, true, "1 min 30 s"},
		{"1h", time.Hour, true, "1 h"},
		{"1.5s", 1500 * time.Millisecond, true, "1.5 s"},
		{"61m", 0, false, ""},
		{"100ms", 0, false, ""},
		{"0", 0, false, ""},
		{"-5", 0, false, ""},
		{"99999999999999999999", 0, false, ""},
		{"soon", 0, false, ""},
	} {
		got, ok := ParseTimeout(tt.in)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("ParseTimeout(%q) = %v, %v; want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
		if !ok {
			continue
		}
		text := TimeoutText(got)
		if again, ok := ParseTimeout(text); text != tt.text || !ok || again != got {
			t.Errorf("%v is written %q, want %q, and read as %v, %v", got, text, tt.text, again, ok)
		}
	}
}
