package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// bench is one run of the whole.
type bench struct {
	options
	self     string // this program, for its parts
	dir      string // temporary, with everything that the programs leave
	stdout   io.Writer
	progress io.Writer
	raw      *os.File // nil: not wanted
	machine  machine
	samples  samples
	begun    time.Time
	patience time.Duration // for how long it may still measure again what was disturbed
}

// mostRepeated bounds how much longer a run takes on a machine that others use.
const mostRepeated = time.Minute

func newBench(o options, self string, stdout, progress io.Writer) (_ *bench, err error) {
	named := o.culvert
	if o.culvert, err = filepath.Abs(named); err != nil {
		return nil, err
	}
	b := &bench{options: o, self: self, stdout: stdout, progress: progress, begun: time.Now(), patience: o.shorter(mostRepeated, 0)}
	if b.machine, err = describe(b.culvert); err != nil {
		return nil, fmt.Errorf("%s is no program to measure: `make bench` builds it, or name one with -culvert: %w", named, err)
	}
	if b.dir, err = os.MkdirTemp("", "culvert-bench-"); err != nil {
		return nil, err
	}
	if o.json != "" {
		b.raw, err = os.Create(o.json)
		err = errors.Join(err, b.write(b.machine))
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) close() (err error) {
	if b.raw != nil {
		err = b.raw.Close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// run asks the sections one after the other. What was measured is told also if a later
// section fails.
func (b *bench) run(ctx context.Context, chosen []section) error {
	r := &report{samples: &b.samples, out: b.stdout}
	r.machine(&b.machine, b.quick)
	for _, s := range chosen {
		b.say("%s", s.name)
		if err := s.ask(ctx, b); err != nil {
			if ctx.Err() != nil {
				err = errors.New("stopped")
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
		s.report(r)
	}
	r.disturbance(time.Since(b.begun))
	return r.err
}

// say tells the person at the terminal how far it is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: %4.0fs  %s\n", time.Since(b.begun).Seconds(), fmt.Sprintf(format, args...))
}

// add keeps a sample.
func (b *bench) add(s sample) error {
	b.samples = append(b.samples, s)
	return b.write(s)
}

func (b *bench) write(v any) error {
	if b.raw == nil {
		return nil
	}
	return json.NewEncoder(b.raw).Encode(v)
}

// fewer is n, or less in a quick run.
func (o *options) fewer(n, quick int) int {
	if o.quick {
		return quick
	}
	return n
}

// shorter is fewer, of time.
func (o *options) shorter(d, quick time.Duration) time.Duration {
	if o.quick {
		return quick
	}
	return d
}

// eachRound calls f for every round with the targets in the order in which they are to be
// measured, which changes from round to round: who is always first after a pause, or
// always after the same neighbour, gains or loses by it.
func eachRound[T any](ctx context.Context, b *bench, rounds int, targets []T, f func(round int, ordered []T) error) error {
	rounds = b.fewer(rounds, 1)
	for round := 1; round <= rounds; round++ {
		b.say("round %d of %d", round, rounds)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(round, turned(targets, round)); err != nil {
			return err
		}
	}
	return nil
}

// turned is targets in the order of that round.
func turned[T any](targets []T, round int) []T {
	n := len(targets)
	out := make([]T, n)
	for i := range targets {
		at := (i + (round-1)/2) % n
		if round%2 == 0 {
			at = n - 1 - at
		}
		out[i] = targets[at]
	}
	return out
}
