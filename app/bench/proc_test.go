package main

import (
	"testing"
	"time"
)

func TestParseMachineTime(t *testing.T) {
	t.Parallel()
	const stat = "cpu  100 20 3 5000 600 7 8 90 40 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 1\nintr 1 2 3\n"
	// Guests (40) are in the first figure already.
	if got, n, err := parseMachineTime([]byte(stat)); err != nil || got != 2280*time.Millisecond || n != 2 {
		t.Errorf("%v of %d, %v", got, n, err)
	}
	for _, broken := range []string{"", "cpu 1 2 3\ncpu0\n", "cpu0 1 2 3 4 5 6 7 8 9\ncpu1\n", "cpu a 2 3 4 5 6 7 8 9\ncpu0\n", "cpu 1 2 3 4 5 6 7 8 9\n"} {
		if got, _, err := parseMachineTime([]byte(broken)); err == nil {
			t.Errorf("%q: %v", broken, got)
		}
	}
}

func TestParseMemory(t *testing.T) {
	t.Parallel()
	const status = "Name:\tx\nVmHWM:\t   13248 kB\nVmRSS:\t      12 kB\n"
	if got, err := parseMemory(status, "VmRSS"); err != nil || got != 12<<10 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parseMemory(status, "VmSwap"); err == nil {
		t.Errorf("got %v", got)
	}
}

func TestOthers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	before := look{at: now, ours: time.Second, machine: 10 * time.Second}
	after := look{at: now.Add(2 * time.Second), ours: 3 * time.Second, machine: 13 * time.Second, processors: 2}
	if got := others(before, after); got != .25 {
		t.Errorf("got %v", got)
	}
	after.machine = before.machine // ticks may lag behind
	if got := others(before, after); got != 0 {
		t.Errorf("got %v", got)
	}
}

func TestLastCollection(t *testing.T) {
	t.Parallel()
	const trace = `time=2026-11-21T17:00:00Z level=INFO msg="gc 1 @"
gc 1 @0.018s 1%: 0.040+0.50+0.003 ms clock, 0.080+0.17/0.32/0.05+0.007 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P
gc 12 @3.5s 2%: 0.040+0.50+0.003 ms clock, 0.080+0.17/0.32/0.05+0.007 ms cpu, 30->41->25 MB, 40 MB goal, 12 MB stacks, 0 MB globals, 2 P (forced)
`
	if n, live := lastCollection(trace); n != 12 || live != 37<<20 {
		t.Errorf("collection %d leaves %d", n, live)
	}
	if n, live := lastCollection("hello"); n != 0 || live != 0 {
		t.Errorf("collection %d leaves %d", n, live)
	}
}

func TestWhatProgramsSay(t *testing.T) {
	t.Parallel()
	if got, ok := relayAddress("culvert relay listens on 127.0.0.1:4711, public URL http://127.0.0.1:4711"); !ok || got != "127.0.0.1:4711" {
		t.Errorf("%q, %v", got, ok)
	}
	if got, ok := relayAddress("something else"); ok {
		t.Errorf("got %q", got)
	}
	for line, want := range map[string]bool{
		`{"time":"…","event":"online","tunnel_id":"x"}`: true, `{"event":"request","path":"online"}`: false, "listens": false, "": false,
	} {
		if got := online(line); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}
