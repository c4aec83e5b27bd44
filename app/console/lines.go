package console

import (
	"context"
	"io"
	"slices"
	"sync"
)

// maxPending and maxBytes bound the lines that wait for a slow reader: a path may
// be as long as a request's head. Important lines have some room of their own.
const (
	maxPending   = 4096
	maxBytes     = 16 << 20
	roomForLines = 256
	roomForBytes = 1 << 20
)

// Lines writes whole lines from a goroutine of its own. Writing to it never
// waits: when the reader is slow lines are left out and counted, and when the
// reader is gone, they all are. Nothing that a reader does, or fails to do, slows
// or ends a tunnel.
type Lines struct {
	out  io.Writer
	lost func(n int) []byte
	gone func(error)

	mu      sync.Mutex
	pending [][]byte
	bytes   int // in pending
	dropped int // since lost was last written
	closed  bool
	wake    chan struct{} // has room for one
	done    chan struct{}
}

// NewLines starts to write lines to out. lost makes the line that stands in for n
// lines which were left out; nil for none. gone, if any, is told the first error
// of out, after which everything is thrown away. Close ends it.
func NewLines(out io.Writer, lost func(n int) []byte, gone func(error)) *Lines {
	l := &Lines{out: out, lost: lost, gone: gone, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one line, line break included. It always succeeds.
func (l *Lines) Write(line []byte) (int, error) {
	l.add(line, maxPending, maxBytes)
	return len(line), nil
}

// WriteImportant is Write for lines that are few, and left out last.
func (l *Lines) WriteImportant(line []byte) {
	l.add(line, maxPending+roomForLines, maxBytes+roomForBytes)
}

func (l *Lines) add(line []byte, lines, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return
	case len(l.pending) >= lines, l.bytes+len(line) > bytes:
		l.dropped++
		return
	}
	l.pending = append(l.pending, slices.Clone(line))
	l.bytes += len(line)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close writes what is pending, and returns when that is done or ctx ends. In
// the latter case the goroutine stays behind: nothing can interrupt a write to a
// pipe that nobody reads.
func (l *Lines) Close(ctx context.Context) {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-ctx.Done():
	}
}

func (l *Lines) run() {
	defer close(l.done)
	broken := false
	for open := true; open; {
		_, open = <-l.wake
		for {
			text := l.take()
			if len(text) == 0 {
				break
			}
			if broken {
				continue
			}
			if _, err := l.out.Write(text); err != nil {
				broken = true
				if l.gone != nil {
					l.gone(err)
				}
			}
		}
	}
}

// take gives all that is pending in one piece: one system call for many lines.
func (l *Lines) take() []byte {
	l.mu.Lock()
	lines, dropped := l.pending, l.dropped
	l.pending, l.bytes, l.dropped = nil, 0, 0
	l.mu.Unlock()
	text := slices.Concat(lines...)
	if dropped > 0 && l.lost != nil {
		text = append(text, l.lost(dropped)...) // after those that were there before
	}
	return text
}
