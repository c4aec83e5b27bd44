package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// measured is an outcome, with what it cost meanwhile.
type measured struct {
	outcome
	cpu    time.Duration // of the processes of the tunnel
	others float64       // share of the machine that was used by nobody of ours
}

// measure has a load visit a target.
func (f *fleet) measure(ctx context.Context, t *target, p plan) (m measured, err error) {
	p.Addr, p.CA, p.Paths = t.addr, t.ca, slices.Clone(p.Paths)
	for i, path := range p.Paths {
		p.Paths[i] = t.prefix + path
	}
	child, err := startProcess(ctx, "load", f.dir, nil, f.bench.self, "load")
	if err != nil {
		return m, err
	}
	defer child.stop()
	text, err := json.Marshal(p)
	if err != nil {
		return m, err
	}
	if err := child.tell(text); err != nil {
		return m, fmt.Errorf("the load has ended: %w%s", err, child.complaints())
	}
	limit := 2 * (p.Warmup + p.Duration + patience)
	if err := child.await(limit, "that it is ready", func(line string) bool { return line == "ready" }); err != nil {
		return m, err
	}
	everybody := append([]*process{child}, f.processes...)
	before, err := f.look(t, everybody)
	if err != nil {
		return m, err
	}
	if err := child.tell([]byte("go")); err != nil {
		return m, fmt.Errorf("the load has ended: %w%s", err, child.complaints())
	}
	var broken error
	if err := child.await(limit, "what came of it", func(line string) bool {
		broken = json.Unmarshal([]byte(line), &m.outcome)
		return true
	}); err != nil {
		return m, err
	}
	after, err := f.look(t, everybody)
	switch {
	case err != nil:
		return m, err
	case broken != nil:
		return m, fmt.Errorf("what the load says: %w", broken)
	case m.Failed > 0 || m.Requests == 0:
		return m, fmt.Errorf("%s: %d visitors failed, %d requests were answered; the first failed with: %s%s",
			t.name, m.Failed, m.Requests, m.Error, t.complaints())
	}
	m.cpu = after.tunnel - before.tunnel
	m.others = others(before, after)
	return m, nil
}

// disturbed is the share of the machine from which on others spoil a measurement.
const disturbed = .1

// measureQuietly measures once more when others have used much of the machine, and keeps
// what was disturbed less.
func (f *fleet) measureQuietly(ctx context.Context, t *target, p plan) (measured, error) {
	m, err := f.measure(ctx, t, p)
	if err != nil || m.others <= disturbed || f.bench.patience <= 0 {
		return m, err
	}
	begin := time.Now()
	defer func() { f.bench.patience -= time.Since(begin) }()
	again, err := f.measure(ctx, t, p)
	if err != nil || again.others < m.others {
		m = again
	}
	return m, err
}

// look is the clocks at a moment.
type look struct {
	at                    time.Time
	tunnel, ours, machine time.Duration
	processors            int
}

func (f *fleet) look(t *target, everybody []*process) (l look, err error) {
	counts := make(map[*process]bool)
	for _, p := range t.processes {
		counts[p] = true
	}
	for _, p := range everybody {
		used, err := processorTime(p.pid())
		if err != nil {
			return l, fmt.Errorf("%s has ended: %w%s", p.name, err, p.complaints())
		}
		l.ours += used
		if counts[p] {
			l.tunnel += used
		}
	}
	own, err := processorTime(os.Getpid())
	if err != nil {
		return l, err
	}
	l.ours += own
	l.machine, l.processors, err = machineTime()
	l.at = time.Now()
	return l, err
}

// others is the share of the machine that is neither idle nor ours. The machine's own
// clock has ticks of 10 ms.
func others(before, after look) float64 {
	wall := after.at.Sub(before.at) * time.Duration(after.processors)
	used := after.machine - before.machine - (after.ours - before.ours)
	return max(0, used.Seconds()/wall.Seconds())
}

// sample measures and keeps the values that every load has.
func (f *fleet) sample(ctx context.Context, section, row string, round int, t *target, p plan) error {
	m, err := f.measureQuietly(ctx, t, p)
	if err != nil {
		return fmt.Errorf("%s: %w", row, err)
	}
	return f.bench.add(sample{section, row, t.name, round, m.values(p)})
}

func (m *measured) values(p plan) map[string]float64 {
	values := map[string]float64{
		countValue: float64(m.Requests), cpuValue: micros(m.cpu) / float64(m.Requests), rateValue: float64(m.Requests) / m.Elapsed.Seconds(), othersValue: m.others,
	}
	switch p.Kind {
	case download, upload:
		values[speedValue] = float64(p.Length) / 1e6 / m.Elapsed.Seconds()
	default:
		values[p50Value], values[p99Value] = micros(m.P50), micros(m.P99)
	}
	return values
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// complaints are those of the target's processes.
func (t *target) complaints() string {
	var said strings.Builder
	for _, p := range t.processes {
		if text := p.complaints(); text != "" {
			fmt.Fprintf(&said, "\n%s%s", p.name, text)
		}
	}
	return said.String()
}
