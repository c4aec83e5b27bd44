package console

import (
	"context"
	"io"
	"sync"
	"time"
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
	pending []byte // whole lines
	lines   int    // in pending
	dropped int    // since lost was last written
	closed  bool
	wake    chan struct{} // has room for one
	closing chan struct{} // closed by Close
	done    chan struct{}
}

// NewLines starts to write lines to out. lost makes the line that stands in for n
// lines which were left out; nil for none. gone, if any, is told the first error
// of out, after which everything is thrown away. Close ends it.
func NewLines(out io.Writer, lost func(n int) []byte, gone func(error)) *Lines {
	l := &Lines{out: out, lost: lost, gone: gone, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
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
	case l.lines >= lines, len(l.pending)+len(line) > bytes:
		l.dropped++
		return
	}
	l.pending = append(l.pending, line...)
	l.lines++
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
		close(l.closing)
		close(l.wake)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-ctx.Done():
	}
}

// pause is how long the goroutine rests after it has written what there was: under load
// many lines go out with one system call, and a single one goes out at once.
const pause = 5 * time.Millisecond

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 1 << 20

func (l *Lines) run() {
	defer close(l.done)
	rest := time.NewTimer(pause)
	defer rest.Stop()
	var text []byte
	broken := false
	for open := true; open; {
		_, open = <-l.wake
		for {
			if text = l.take(text); len(text) == 0 {
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
		rest.Reset(pause)
		select {
		case <-rest.C:
		case <-l.closing:
		}
	}
}

// take gives all that is pending in one piece: one system call for many lines. The
// piece that was written before is for those to come.
func (l *Lines) take(written []byte) []byte {
	if cap(written) > keepBuffer {
		written = nil
	}
	l.mu.Lock()
	text, dropped := l.pending, l.dropped
	l.pending, l.lines, l.dropped = written[:0], 0, 0
	l.mu.Unlock()
	if dropped > 0 && l.lost != nil {
		text = append(text, l.lost(dropped)...) // after those that were there before
	}
	return text
}
