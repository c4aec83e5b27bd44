package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

const tunnelsSection = "tunnels"

// Rows of the section, and the values that only it has.
const (
	idleRow = "idle"
	fairRow = "fair"

	relayMemory = "relay_kb_per_tunnel"
	relayHeap   = "relay_heap_kb_per_tunnel"
	relayCPU    = "relay_cpu_percent"
	agentsCPU   = "agents_cpu_percent"
	medianP99   = "median_p99_us"
	worstP99    = "worst_p99_us"
)

func (b *bench) idleTunnels() int { return b.fewer(1000, 20) }

func (b *bench) fairTunnels() int { return b.fewer(100, 10) }

// fairRate is what each tunnel is asked for, a second.
const fairRate = 50

// askTunnels: what do tunnels cost that do nothing, and do busy ones get on together?
func askTunnels(ctx context.Context, b *bench) error {
	if err := withFleet(ctx, b, func(f *fleet) error { return f.askIdle(ctx) }); err != nil {
		return err
	}
	return withFleet(ctx, b, func(f *fleet) error { return f.askFair(ctx) })
}

// askIdle compares a relay that has many tunnels with one that has a single one.
func (f *fleet) askIdle(ctx context.Context) error {
	b, many := f.bench, f.bench.idleTunnels()
	traced := []string{"GODEBUG=gctrace=1"}
	full, err := f.crowd(ctx, ourTunnel, many, traced)
	if err != nil {
		return err
	}
	b.say("%d tunnels online", many)
	lone, err := f.crowd(ctx, ourTunnel+", lone", 1, traced)
	if err != nil {
		return err
	}
	per := 1 / float64(many-1)
	fullMemory, err := full.memory("VmRSS")
	if err != nil {
		return err
	}
	loneMemory, err := lone.memory("VmRSS")
	if err != nil {
		return err
	}
	values := map[string]float64{relayMemory: float64(fullMemory[0]-loneMemory[0]) / 1e3 * per}
	if err := f.watchIdle(ctx, full, b.shorter(20*time.Second, 500*time.Millisecond), values); err != nil {
		return err
	}
	heap, known, err := f.liveHeap(ctx, full)
	if err != nil {
		return err
	}
	loneHeap, alsoKnown, err := f.liveHeap(ctx, lone)
	if err != nil {
		return err
	}
	if known && alsoKnown {
		values[relayHeap] = float64(heap-loneHeap) / 1e3 * per
	}
	return b.add(sample{tunnelsSection, idleRow, ourTunnel, 1, values})
}

// watchIdle measures what a relay and its agents do while nobody visits.
func (f *fleet) watchIdle(ctx context.Context, t *target, d time.Duration, values map[string]float64) error {
	before, err := f.eachTime(t)
	if err != nil {
		return err
	}
	begin := time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := f.eachTime(t)
	if err != nil {
		return err
	}
	for i, name := range []string{relayCPU, agentsCPU} {
		values[name] = 100 * (after[i] - before[i]).Seconds() / time.Since(begin).Seconds()
	}
	return nil
}

func (f *fleet) eachTime(t *target) (all []time.Duration, err error) {
	for _, p := range t.processes {
		used, err := processorTime(p.pid())
		if err != nil {
			return nil, fmt.Errorf("%s has ended: %w%s", p.name, err, p.complaints())
		}
		all = append(all, used)
	}
	return all, nil
}

// mostTries bounds how long a collection is waited for: a heap of so many tunnels has
// much room before it is due.
const mostTries = 15

// liveHeap is what the relay's garbage collector leaves, with stacks, in bytes; unknown if
// it did not run. It gets work from visitors until it has.
func (f *fleet) liveHeap(ctx context.Context, t *target) (live int64, known bool, err error) {
	p := f.bench.plan(loadRow{conns: 64, path: "/" + tunnelName(0) + "/small", size: smallBody})
	p.Duration = f.bench.shorter(2*time.Second, 200*time.Millisecond)
	relay := t.processes[0]
	before, _ := lastCollection(relay.errs.String())
	for range mostTries {
		if _, err := f.measure(ctx, t, p); err != nil {
			return 0, false, err
		}
		if after, live := lastCollection(relay.errs.String()); after > before {
			return live, true, nil
		}
	}
	return 0, false, nil
}

// collectionLine is one of GODEBUG=gctrace=1 (https://pkg.go.dev/runtime, Environment
// Variables): its number; heap at start, at end, and live; the goal; stacks.
const collectionLine = `(?m)^gc (\d+) @.* \d+->\d+->(\d+) MB, \d+ MB goal, (\d+) MB stacks`

// lastCollection reads the end of a trace: the number of the last collection, and the
// bytes that it has left; zero without any.
func lastCollection(text string) (n, live int64) {
	all := regexp.MustCompile(collectionLine).FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return 0, 0
	}
	var figures [3]int64
	for i, digits := range all[len(all)-1][1:] {
		figures[i], _ = strconv.ParseInt(digits, 10, 64) // nothing but digits fit
	}
	return figures[0], (figures[1] + figures[2]) << 20
}

// askFair has all tunnels visited at the same pace, and compares them. Two hops show how
// even the machine and the visitors themselves are.
func (f *fleet) askFair(ctx context.Context) error {
	b, n := f.bench, f.bench.fairTunnels()
	ours, err := f.crowd(ctx, ourTunnel, n, nil)
	if err != nil {
		return err
	}
	hops, err := f.hops(ctx, twoHops, 2, false)
	if err != nil {
		return err
	}
	b.say("%d tunnels online", n)
	return eachRound(ctx, b, min(b.rounds, 3), []*target{hops, ours}, func(round int, ordered []*target) error {
		for _, t := range ordered {
			p := plan{Kind: paced, Length: smallBody, Conns: 2, Rate: fairRate, Duration: b.shorter(10*time.Second, time.Second)}
			for i := range n {
				path := "/small"
				if t == ours {
					path = "/" + tunnelName(i) + path
				}
				p.Paths = append(p.Paths, path)
			}
			m, err := f.measureQuietly(ctx, t, p)
			if err != nil {
				return fmt.Errorf("%d tunnels: %w", n, err)
			}
			values := m.values(p)
			var each []float64
			for _, p99 := range m.Each {
				each = append(each, micros(p99))
			}
			s := spreadOf(each)
			values[medianP99], values[worstP99] = s.median, s.most
			if err := b.add(sample{tunnelsSection, fairRow, t.name, round, values}); err != nil {
				return err
			}
		}
		return nil
	})
}

func reportTunnels(r *report) {
	of := func(row, target, value string) series { return r.samples.of(tunnelsSection, row, target, value) }
	idle := func(value string, digits int) string { return of(idleRow, ourTunnel, value).spread().cell(digits) }
	r.table("Tunnels that do nothing", 0, []string{
		"relay: resident KB per tunnel", "of it live heap and stacks", "relay: % of a processor, all together", "agents: % of a processor",
	}, [][]string{{idle(relayMemory, 0), idle(relayHeap, 0), idle(relayCPU, 2), idle(agentsCPU, 2)}})
	var fair [][]string
	for _, target := range []string{twoHops, ourTunnel} {
		median, worst := of(fairRow, target, medianP99), of(fairRow, target, worstP99)
		fair = append(fair, []string{
			target, of(fairRow, target, rateValue).spread().plainCell(0), of(fairRow, target, cpuValue).spread().plainCell(0),
			of(fairRow, target, p50Value).spread().plainCell(0), median.spread().plainCell(0), worst.spread().plainCell(0), worst.over(median).spread().cell(2),
		})
	}
	r.table("Busy tunnels, "+strconv.Itoa(fairRate)+" requests/s each", 1, []string{
		"through", "requests/s", "CPU µs/request", "p50 µs", "p99 µs of the median tunnel", "of the worst", "worst ÷ median",
	}, fair)
	r.print("\nRequests come when they are due, whatever became of the others. Two hops know no tunnels: they show how even the visitors are.\n")
	r.print("The memory of idle tunnels is the difference between a relay with many and one with a single tunnel.\n")
}
