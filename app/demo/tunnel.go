package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// patience bounds the wait for the next line that the demo needs.
const patience = 30 * time.Second

// tunnel is a running `culvert http`.
type tunnel struct {
	cmd    *exec.Cmd
	stop   context.CancelFunc // sends SIGINT, and kills what does not heed it
	out    io.Writer
	log    string      // the file with what culvert said on stderr
	lines  chan string // of stdout; closed when that ends
	closed bool
}

// open starts culvert for the service on port, with its files in dir. What it
// prints is shown on out as wait and follow come to it. The tunnel ends with ctx;
// close must be called.
func open(ctx context.Context, culvert, port, dir string, out io.Writer) (*tunnel, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", culvert, err)
	}
	defer log.Close() // culvert has its own handle of it
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, culvert, "http", port, "--config", filepath.Join(dir, "config"))
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // a backend of the user's own is not for the demo
		return strings.HasPrefix(v, "CULVERT_")
	})
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
	t := &tunnel{cmd: cmd, stop: stop, out: out, log: log.Name(), lines: make(chan string)}
	go func() { // ends with culvert's output: close reads what nobody waited for
		defer close(t.lines)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			t.lines <- lines.Text()
		}
	}()
	return t, nil
}

func (t *tunnel) show(line string) {
	if line != "" { // the demo has paragraphs of its own
		fmt.Fprintf(t.out, "   %s\n", line)
	}
}

// wait shows lines up to the one that fits pattern, and returns what the pattern's
// group is there.
func (t *tunnel) wait(what string, pattern *regexp.Regexp) (string, error) {
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-t.lines:
			if !ok {
				return "", errors.Join(fmt.Errorf("culvert ended before it showed %s", what), t.close())
			}
			t.show(line)
			if match := pattern.FindStringSubmatch(line); match != nil {
				return match[1], nil
			}
		case <-timeout:
			return "", fmt.Errorf("culvert did not show %s within %v", what, patience)
		}
	}
}

// follow lets the tunnel work until ctx ends or culvert does.
func (t *tunnel) follow(ctx context.Context) {
	for {
		select {
		case line, ok := <-t.lines:
			if !ok {
				return
			}
			t.show(line)
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
	for range t.lines { // Wait closes the pipe, so read it to the end first
	}
	err := t.cmd.Wait()
	if err == nil || errors.Is(err, context.Canceled) { // the latter if it ended well because of stop
		return nil
	}
	log, _ := os.ReadFile(t.log) // what there is of it
	return fmt.Errorf("culvert: %w\n%s", err, log)
}
