package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	culvert, self := build(t)
	t.Run("quick", func(t *testing.T) { quick(t, culvert, self) })
	t.Run("stop", func(t *testing.T) { stop(t, culvert, self) })
}

// quick runs everything once, on the real program: not how fast it is, but that every
// target is measured, that no answer is wrong, and that nothing is left behind.
func quick(t *testing.T, culvert, self string) {
	left := nothingLeft(t)
	raw := filepath.Join(t.TempDir(), "raw.json")
	var out, progress strings.Builder
	if err := run(t.Context(), self, []string{"-quick", "-culvert", culvert, "-json", raw}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	left()
	all := readSamples(t, raw)
	for _, row := range loadRows() {
		for _, target := range []string{direct, oneHop, twoHops, ourTunnel, linkPlain, linkTLS, ourTLS, twoHopsTLS} {
			if askedAt(row, target) {
				positive(t, all, loadSection, row.name, target, rateValue, p50Value, p99Value)
			}
			if askedAt(row, target) && target != direct {
				positive(t, all, loadSection, row.name, target, cpuValue)
			}
		}
	}
	for _, target := range []string{direct, twoHops, ourTunnel} {
		positive(t, all, bodiesSection, downloadRow, target, speedValue)
		positive(t, all, bodiesSection, uploadRow, target, speedValue)
		positive(t, all, bodiesSection, eventsRow, target, p50Value)
		positive(t, all, bodiesSection, aloneRow, target, p99Value)
		positive(t, all, bodiesSection, stalledRow, target, p99Value)
	}
	for _, conns := range []int{16, 64} {
		positive(t, all, scaleSection, connsRow(conns), ourTunnel, cpuValue)
		positive(t, all, scaleSection, connsRow(conns), twoHops, cpuValue)
	}
	for _, tunnels := range []int{1, 5} {
		positive(t, all, scaleSection, tunnelsRow(tunnels), manyTunnels, cpuValue)
	}
	present(t, all, tunnelsSection, idleRow, ourTunnel, relayMemory, relayCPU, agentsCPU)
	positive(t, all, tunnelsSection, fairRow, ourTunnel, medianP99, worstP99)
	// However late they were, all that were due in a second were made.
	if due, got := 10.0*fairRate, all.of(tunnelsSection, fairRow, ourTunnel, countValue)[1]; got != due {
		t.Errorf("%.0f requests were made, and %.0f due", got, due)
	}
	for _, want := range []string{"### Requests", "### TLS", "### Large bodies", "### Many connections", "### Tunnels that do nothing", "### Busy tunnels", "Others used"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the report:\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "| ") && strings.Contains(line, "NaN") {
			t.Errorf("no figure: %s", line)
		}
	}
}

// stop: a run that is ended takes everything with it.
func stop(t *testing.T, culvert, self string) {
	left := nothingLeft(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := run(ctx, self, []string{"-duration", "1h", "-only", "load", "-culvert", culvert}, io.Discard, writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "round 1") {
			time.AfterFunc(100*time.Millisecond, cancel) // at some moment of the first measurement
		}
		return len(p), nil
	}))
	if err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("got %v", err)
	}
	left()
}

func TestNoProgram(t *testing.T) {
	err := run(t.Context(), "", []string{"-culvert", filepath.Join(t.TempDir(), "culvert")}, io.Discard, io.Discard)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("got %v", err)
	}
}

// withService calls f with a fleet that is this test binary.
func withService(t *testing.T, f func(*fleet)) {
	t.Helper()
	b := &bench{dir: t.TempDir(), progress: io.Discard}
	var err error
	if b.self, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	if err := withFleet(t.Context(), b, func(fl *fleet) error {
		f(fl)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestKinds visits the local service, and two hops, in every way.
func TestKinds(t *testing.T) {
	withService(t, func(f *fleet) {
		hops, err := f.hops(t.Context(), twoHopsTLS, 2, true)
		if err != nil {
			t.Fatal(err)
		}
		const size = 3<<20 + 1
		for _, target := range []*target{f.direct(), hops} {
			if err := target.verify(t.Context()); err != nil {
				t.Error(err)
			}
			for _, test := range []struct {
				plan
				want int // requests; 0: some
			}{
				{plan{Kind: closed, Paths: []string{"/small", "/small?again"}, Length: smallBody, Conns: 5, Warmup: time.Millisecond, Duration: 50 * time.Millisecond}, 0},
				{plan{Kind: paced, Paths: []string{"/small", "/small?again"}, Length: smallBody, Conns: 2, Rate: 40, Duration: 200 * time.Millisecond}, 16},
				{plan{Kind: download, Paths: []string{fmt.Sprint("/bulk?n=", size)}, Length: size}, 1},
				{plan{Kind: upload, Paths: []string{"/sink"}, Length: size}, 1},
				{plan{Kind: events, Paths: []string{"/events"}, Times: 3}, 3},
			} {
				m, err := f.measure(t.Context(), target, test.plan)
				if err != nil {
					t.Errorf("%s: %v", test.Kind, err)
				} else if m.Requests != test.want && test.want > 0 || m.Elapsed <= 0 || len(m.Each) > 0 != (test.Kind == paced) {
					t.Errorf("%s through %s: %+v, want %d requests", test.Kind, target.name, m, test.want)
				}
			}
		}
	})
}

// TestWrongAnswers: a load that gets anything else than it wants is no measurement.
func TestWrongAnswers(t *testing.T) {
	withService(t, func(f *fleet) {
		for path, want := range map[string]string{"/large": "status 200 with 102400 bytes", "/nothing": "status 404"} {
			_, err := f.measure(t.Context(), f.direct(), plan{Kind: closed, Paths: []string{path}, Length: smallBody, Conns: 2, Duration: time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "2 visitors failed") {
				t.Errorf("%s: %v", path, err)
			}
		}
		wrong := f.direct()
		wrong.prefix = "/elsewhere"
		if err := wrong.verify(t.Context()); err == nil || !strings.Contains(err.Error(), "status 404") {
			t.Errorf("got %v", err)
		}
	})
}

// TestProcessorTime: both clocks are of the same time, of which one is coarse.
func TestProcessorTime(t *testing.T) {
	coarse := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	begin := coarse()
	for coarse() < begin+300*time.Millisecond { // of work, however long it takes
	}
	after, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const slack = 10 * time.Second / clockTicks
	if used, want := after-before, coarse()-begin; used < want-slack || used > want+slack {
		t.Errorf("%v, want %v", used, want)
	}
	if _, err := processorTime(1 << 22); err == nil { // no process has so high a number
		t.Error("there is such a process")
	}
}

// build builds the program that is measured, and this one: with the race detector its
// parts would take their time.
func build(t *testing.T) (culvert, self string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "culvert/app/cmd/culvert", "culvert/app/bench")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "culvert"), filepath.Join(dir, "bench")
}

// nothingLeft gives a check that no child and no file is left.
func nothingLeft(t *testing.T) func() {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return func() {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) > 0 {
			t.Errorf("it leaves %v, %v", files, err)
		}
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
			t.Errorf("children are left: %d, %v", pid, err)
		}
	}
}

func readSamples(t *testing.T, file string) (all samples) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 0; lines.Scan(); n++ {
		if n == 0 {
			var m machine
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.Cores == 0 || m.Kernel == "" || m.Go == "" {
				t.Errorf("the machine is %s (%v)", lines.Bytes(), err)
			}
			continue
		}
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Errorf("%s: %v", lines.Bytes(), err)
		}
		all = append(all, s)
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return all
}

func present(t *testing.T, all samples, section, row, target string, values ...string) {
	t.Helper()
	for _, value := range values {
		if len(all.of(section, row, target, value)) != 1 {
			t.Errorf("%s, %s, %s: %s was measured %d times", section, row, target, value, len(all.of(section, row, target, value)))
		}
	}
}

func positive(t *testing.T, all samples, section, row, target string, values ...string) {
	t.Helper()
	present(t, all, section, row, target, values...)
	for _, value := range values {
		if got := all.of(section, row, target, value)[1]; got <= 0 {
			t.Errorf("%s, %s, %s: %s is %v", section, row, target, value, got)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
