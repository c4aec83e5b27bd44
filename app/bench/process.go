package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a program to say something.
const patience = 30 * time.Second

// process is a child. Its methods are for one goroutine.
type process struct {
	name     string
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out      *bufio.Reader
	errs     tail
	draining chan struct{} // closed at the end of its output; nil: nobody reads on
	killed   func() bool
	stopped  bool
}

// startProcess starts a program that ends with ctx, with stop, or with this one.
func startProcess(ctx context.Context, name, dir string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(program, args...)}
	// Nothing of the machine's settings may matter: no proxies, no tunnels of one's own.
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CULVERT_CONFIG_DIR=" + dir}, env...)
	p.cmd.Dir = dir
	p.cmd.Stderr = &p.errs
	p.cmd.WaitDelay = 5 * time.Second
	dieWithParent(p.cmd)
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(stdout, 64<<10)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.killed = context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// await reads lines until one fits. A program that does not say it in time is killed.
func (p *process) await(limit time.Duration, what string, fits func(line string) bool) error {
	timer := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s has not said %s within %v, or has ended%s", p.name, what, limit, p.complaints())
		}
		if fits(strings.TrimSuffix(line, "\n")) {
			return nil
		}
	}
}

// tell writes a line to its standard input.
func (p *process) tell(line []byte) error {
	_, err := p.stdin.Write(append(line, '\n'))
	return err
}

// discard reads what it says from now on, and throws it away.
func (p *process) discard() {
	p.draining = make(chan struct{})
	go func() {
		defer close(p.draining)
		_, _ = io.Copy(io.Discard, p.out)
	}()
}

// complaints is the end of its stderr, to go into an error.
func (p *process) complaints() string {
	if said := strings.TrimSpace(p.errs.String()); said != "" {
		return "; it says:\n" + said
	}
	return ""
}

// stop ends it, politely at first, and waits.
func (p *process) stop() {
	if p.stopped {
		return
	}
	p.stopped = true
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	if p.draining == nil {
		p.discard()
	}
	<-p.draining
	_ = p.cmd.Wait() // how it ended says nothing: it was told to
	p.killed()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const maxTail = 8 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text) - maxTail; n > 0 {
		t.text = bytes.Clone(t.text[n:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// announce is how a part of this program tells its parent where it listens, and waits
// for its end: the parent's, or that it is told to.
func announce(ctx context.Context, addresses ...string) {
	fmt.Println(strings.Join(append([]string{"listens"}, addresses...), " "))
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	<-ctx.Done()
}

// awaitAddresses is the other side of announce.
func (p *process) awaitAddresses(n int) (addresses []string, err error) {
	err = p.await(patience, "where it listens", func(line string) bool {
		fields := strings.Fields(line)
		if len(fields) != n+1 || fields[0] != "listens" {
			return false
		}
		addresses = fields[1:]
		return true
	})
	if err == nil {
		p.discard()
	}
	return addresses, err
}
