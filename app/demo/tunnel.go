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
	"time"
)

// startTimeout bounds the wait for the next event that the demo needs.
const startTimeout = 30 * time.Second

// event is one of culvert's JSON lines, and what the demo reads of it.
type event struct {
	line      string
	Event     string `json:"event"`
	PublicURL string `json:"public_url"`
}

// tunnel is a running `culvert http`.
type tunnel struct {
	cmd    *exec.Cmd
	out    io.Writer
	events chan event // closed when culvert's output ends
	closed bool
}

// open starts culvert for the service on port. Its JSON lines are shown on out
// as wait, follow and close come to them. The tunnel ends with ctx.
func open(ctx context.Context, culvert, port, config string, out io.Writer) (*tunnel, error) {
	cmd := exec.CommandContext(ctx, culvert, "http", port, "--json", "--config", config)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", culvert, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", culvert, err)
	}
	t := &tunnel{cmd: cmd, out: out, events: make(chan event)}
	go func() { // ends with culvert's output: close reads what nobody waited for
		defer close(t.events)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			e := event{line: lines.Text()}
			_ = json.Unmarshal(lines.Bytes(), &e) // what is no event is only shown
			t.events <- e
		}
	}()
	return t, nil
}

// show prints an event that has come.
func (t *tunnel) show(e event) {
	fmt.Fprintf(t.out, "   %s\n", e.line)
}

// wait returns the next event of this name.
func (t *tunnel) wait(name string) (event, error) {
	timeout := time.After(startTimeout)
	for {
		select {
		case e, ok := <-t.events:
			if !ok {
				return event{}, fmt.Errorf("culvert ended before it said %q", name)
			}
			t.show(e)
			if e.Event == name {
				return e, nil
			}
		case <-timeout:
			return event{}, fmt.Errorf("culvert did not say %q within %v", name, startTimeout)
		}
	}
}

// follow lets the tunnel work until ctx ends or culvert does.
func (t *tunnel) follow(ctx context.Context) {
	for {
		select {
		case e, ok := <-t.events:
			if !ok {
				return
			}
			t.show(e)
		case <-ctx.Done():
			return
		}
	}
}

// close stops culvert as Ctrl-C would. Only the first call does anything.
func (t *tunnel) close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	_ = t.cmd.Process.Signal(os.Interrupt) // it may have ended already, and Wait says how
	for e := range t.events {              // Wait closes the pipe, so read it to the end first
		t.show(e)
	}
	err := t.cmd.Wait()
	if errors.Is(err, context.Canceled) {
		return nil // Ctrl-C reached the demo, and culvert ended well
	}
	if err != nil {
		return fmt.Errorf("culvert ended badly: %w", err)
	}
	return nil
}
