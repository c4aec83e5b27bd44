package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that ought to happen soon. It is
// long because a loaded machine is slow; a passing test never uses it up.
const patience = 40 * time.Second

// process is a running program of the product.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and all its output is read
	code int           // exit code, -1 if a signal ended it; after done

	mu      sync.Mutex
	log     []string      // both outputs, as they came
	stdout  []string      // whole lines
	events  []event       // lines of stdout that are JSON objects
	stderr  []string      // whole lines
	changed chan struct{} // closed and replaced at every new line
	cursor  int           // events before it were awaited already
}

// event is one line of `culvert http --json`.
type event map[string]any

func (e event) kind() string { return e.str("event") }

func (e event) str(key string) string {
	s, _ := e[key].(string)
	return s
}

// num gives an integer field; a number that is none is not found.
func (e event) num(key string) int64 {
	n, ok := e[key].(json.Number)
	if !ok {
		return -1
	}
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return i
}

// startProcess starts a program that cannot outlive the test: it ends with it,
// or at the latest with the test binary.
func startProcess(t testing.TB, name string, env []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	// Nothing of the machine's settings may leak in: no proxies, no real home.
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GOCOVERDIR=" + os.Getenv("GOCOVERDIR"),
	}, env...)
	cmd.Dir = t.TempDir()
	return follow(t, name, cmd)
}

// follow starts a program of anybody's and reads what it says, as startProcess does.
func follow(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, done: make(chan struct{}), changed: make(chan struct{})}
	dieWithParent(p.cmd)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.read(stdout, true) })
	readers.Go(func() { p.read(stderr, false) })
	go func() {
		readers.Wait()
		_ = p.cmd.Wait() // the code below says what it said
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end()
		for _, trouble := range []string{"panic: ", "panic serving", "fatal error: ", "DATA RACE"} {
			if strings.Contains(p.errors(), trouble) {
				t.Errorf("%s fell over: %q", name, trouble)
			}
		}
		if t.Failed() {
			t.Logf("%s %s (exit code %d):\n%s", name, strings.Join(cmd.Args[1:], " "), p.code, p.summary())
		}
	})
	return p
}

func (p *process) read(r io.Reader, stdout bool) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		p.mu.Lock()
		if stdout {
			p.log = append(p.log, "out: "+line)
			p.stdout = append(p.stdout, line)
			dec := json.NewDecoder(strings.NewReader(line))
			dec.UseNumber()
			var e event
			if dec.Decode(&e) == nil && e != nil {
				p.events = append(p.events, e)
			}
		} else {
			p.log = append(p.log, "err: "+line)
			p.stderr = append(p.stderr, line)
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r)
}

// summary is both outputs, for a failing test's log: long lines are cut, and the
// middle of many is left out.
func (p *process) summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var said []string
	for _, line := range p.log {
		if len(line) > 400 {
			line = line[:400] + "…"
		}
		said = append(said, line)
	}
	if half := 60; len(said) > 2*half {
		said = slices.Concat(said[:half], []string{fmt.Sprintf("… %d lines …", len(said)-2*half)}, said[len(said)-half:])
	}
	return strings.Join(said, "\n")
}

// output is all of both outputs.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// errors is all of stderr.
func (p *process) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.stderr, "\n")
}

// await gives the next event that fits, and forgets it and those before it.
func (p *process) await(t testing.TB, what string, fits func(event) bool) event {
	t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		for i := p.cursor; i < len(p.events); i++ {
			if fits(p.events[i]) {
				p.cursor = i + 1
				defer p.mu.Unlock()
				return p.events[i]
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-p.done:
			t.Fatalf("%s ended with exit code %d before %s", p.name, p.code, what)
		case <-deadline:
			t.Fatalf("%s has not said within %v: %s", p.name, patience, what)
		}
	}
}

// awaitEvent gives the next event of a kind.
func (p *process) awaitEvent(t testing.TB, kind string) event {
	t.Helper()
	return p.await(t, "event "+kind, func(e event) bool { return e.kind() == kind })
}

// seen gives all events of a kind so far, awaited ones included.
func (p *process) seen(kind string) []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []event
	for _, e := range p.events {
		if e.kind() == kind {
			found = append(found, e)
		}
	}
	return found
}

// exit waits for the process to end by itself and gives its exit code.
func (p *process) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s has not ended within %v", p.name, patience)
	}
	return p.code
}

func (p *process) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
}

// stop ends the process as its user would, and wants exit code 0 of it.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t); code != 0 {
		t.Errorf("%s: exit code %d after SIGTERM, want 0", p.name, code)
	}
}

// kill ends the process without asking it, and waits until it is gone.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.exit(t)
}

// end makes sure that it is gone, politely at first.
func (p *process) end() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.cmd.Process.Signal(sig); errors.Is(err, os.ErrProcessDone) {
			break
		}
		select {
		case <-p.done:
			return
		case <-time.After(12 * time.Second):
		}
	}
	<-p.done
}

// memory reads one figure of /proc/PID/status, such as VmRSS, in bytes.
func (p *process) memory(t testing.TB, field string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("no memory figures here: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatalf("/proc says %q", line)
			}
			return kb << 10
		}
	}
	t.Fatalf("/proc knows no %s", field)
	return 0
}

// eventually polls until check gives nil.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still after %v: %v", patience, err)
		}
		time.Sleep(20 * time.Millisecond) // the poll's interval
	}
}
