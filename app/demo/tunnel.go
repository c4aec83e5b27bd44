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
	stop   context.CancelFunc // sends SIGINT, and kills what does not heed it
	out    io.Writer
	log    string     // the file with what culvert said beside its events
	events chan event // closed when culvert's output ends
	closed bool
}

// open starts culvert for the service on port, with its files in dir. Its JSON
// lines are shown on out as wait, follow and close come to them. The tunnel ends
// with ctx; close must be called.
func open(ctx context.Context, culvert, port, dir string, out io.Writer) (*tunnel, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", culvert, err)
	}
	defer log.Close() // culvert has its own handle of it
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, culvert, "http", port, "--json", "--config", filepath.Join(dir, "config"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", culvert, err)
	}
	t := &tunnel{cmd: cmd, stop: stop, out: out, log: log.Name(), events: make(chan event)}
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
				return event{}, errors.Join(fmt.Errorf("culvert ended before it said %q", name), t.close())
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

// close stops culvert as Ctrl-C would, and says how it ended if not well. Only the
// first call does anything.
func (t *tunnel) close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	t.stop()
	for e := range t.events { // Wait closes the pipe, so read it to the end first
		t.show(e)
	}
	err := t.cmd.Wait()
	if err == nil || errors.Is(err, context.Canceled) { // the latter if it ended well because of stop
		return nil
	}
	log, _ := os.ReadFile(t.log) // what there is of it
	return fmt.Errorf("culvert: %w\n%s", err, log)
}
