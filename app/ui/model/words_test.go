package model

import (
	"testing"
	"time"
)

func TestStatusWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, tt := range []struct {
		tunnel Tunnel
		want   string
	}{
		{Tunnel{State: Stopped}, "Stopped"},
		{Tunnel{State: Connecting}, "Connecting…"},
		{Tunnel{State: Online, Since: ago(time.Second)}, "Online · just now"},
		{Tunnel{State: Online, Since: ago(59 * time.Second)}, "Online · just now"},
		{Tunnel{State: Online, Since: ago(12*time.Minute + 59*time.Second)}, "Online · 12 min"},
		{Tunnel{State: Online, Since: ago(26*time.Hour + 5*time.Minute)}, "Online · 1 d 2 h"},
		{Tunnel{State: Reconnecting, Attempt: 3, NextTry: now.Add(4 * time.Second)}, "Reconnecting in 4 s · attempt 3"},
		{Tunnel{State: Reconnecting, Attempt: 1, NextTry: now.Add(time.Millisecond)}, "Reconnecting in 1 s · attempt 1"},
		{Tunnel{State: Reconnecting, Attempt: 2, NextTry: now}, "Reconnecting now · attempt 2"},
		{Tunnel{State: Refused, Cause: "token expired"}, "Refused"},
	} {
		if got := StatusWords(tt.tunnel, now); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.tunnel, got, tt.want)
		}
	}
}

func TestTook(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                           "<1 ms",
		time.Millisecond:            "1 ms",
		999 * time.Millisecond:      "999 ms",
		1250 * time.Millisecond:     "1.2 s",
		59990 * time.Millisecond:    "59.9 s",
		2*time.Minute + time.Second: "2 min",
		90 * time.Minute:            "1 h 30 min",
	} {
		if got := Took(d); got != want {
			t.Errorf("Took(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 4200: "4.1 KB", 186_000: "182 KB",
		1 << 20: "1.0 MB", 1<<20 - 1: "1.0 MB", 50 << 20: "50 MB", 3 << 40: "3.0 TB", 1 << 62: "4194304 TB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1284: "1,284", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "it failed": "It failed.", "Why?": "Why?", "éa": "Éa.", "done.": "Done."} {
		if got := Sentence(in); got != want {
			t.Errorf("Sentence(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStatusNeverByColourAlone(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{200: "200 ✓", 304: "304 ✓", 101: "101 ⇄", 403: "403 !", 500: "500 ✕", 0: "cut ✕"} {
		r := Request{Status: status}
		if got := r.StatusText(); got != want {
			t.Errorf("status %d reads %q, want %q", status, got, want)
		}
	}
}

func TestOverall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		states []State
		want   State
	}{
		{nil, Stopped},
		{[]State{Stopped, Online}, Online},
		{[]State{Online, Connecting}, Connecting},
		{[]State{Online, Reconnecting, Connecting}, Reconnecting},
		{[]State{Online, Refused, Reconnecting}, Refused},
	} {
		var tunnels []Tunnel
		for _, s := range tt.states {
			tunnels = append(tunnels, Tunnel{State: s})
		}
		if got := Overall(tunnels); got != tt.want {
			t.Errorf("Overall(%v) = %v, want %v", tt.states, got, tt.want)
		}
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"http://127.0.0.1:8080": true, "http://[::1]:1": true, "http://LOCALHOST": true, "https://x.localhost.": true,
		"https://localhost.example.com": false, "http://10.0.0.1": false, "wss://tunnel.example.com/prod": false, "": false, ":": false} {
		if got := Local(text); got != want {
			t.Errorf("%s: local is %v, want %v", text, got, want)
		}
	}
}
