package main

import (
	"context"
	"time"
)

const loadSection = "load"

// loadRow is one question about plain requests.
type loadRow struct {
	name  string
	conns int
	path  string
	size  int64
}

func loadRows() []loadRow {
	return []loadRow{
		{"200 B, 1 connection", 1, "/small", smallBody},
		{"200 B, 64 connections", 64, "/small", smallBody},
		{"200 B, 256 connections", 256, "/small", smallBody},
		{"100 KB, 64 connections", 64, "/large", largeBody},
	}
}

// warmup lets buffers grow and connections open before anything is counted.
const warmup = 150 * time.Millisecond

func (b *bench) plan(r loadRow) plan {
	return plan{
		Kind: closed, Paths: []string{r.path}, Length: r.size, Conns: r.conns,
		Warmup: b.shorter(warmup, 20*time.Millisecond), Duration: b.shorter(b.duration, 50*time.Millisecond),
	}
}

// askLoad: what does a request cost, and how long does it take?
func askLoad(ctx context.Context, b *bench) error {
	return withFleet(ctx, b, func(f *fleet) error {
		targets, err := f.loadTargets(ctx)
		if err != nil {
			return err
		}
		return eachRound(ctx, b, b.rounds, targets, func(round int, ordered []*target) error {
			for _, row := range loadRows() {
				for _, t := range ordered {
					if !askedAt(row, t.name) {
						continue
					}
					if err := f.sample(ctx, loadSection, row.name, round, t, b.plan(row)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// askedAt: what TLS costs is asked at 64 connections only.
func askedAt(row loadRow, target string) bool {
	switch target {
	case ourTLS, twoHopsTLS, linkPlain, linkTLS:
		return row.conns == 64
	}
	return true
}

func (f *fleet) loadTargets(ctx context.Context) ([]*target, error) {
	targets := []*target{f.direct()}
	for _, start := range []func() (*target, error){
		func() (*target, error) { return f.hops(ctx, oneHop, 1, false) },
		func() (*target, error) { return f.hops(ctx, twoHops, 2, false) },
		func() (*target, error) { return f.culvert(ctx, ourTunnel, false) },
		func() (*target, error) { return f.hops(ctx, twoHopsTLS, 2, true) },
		func() (*target, error) { return f.culvert(ctx, ourTLS, true) },
	} {
		t, err := start()
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	links, err := f.links(ctx)
	if err != nil {
		return nil, err
	}
	targets = append(targets, links...)
	return targets, verifyAll(ctx, targets...)
}

// links are two tunnels of one relay, whose visitors use no TLS; on one of the links
// there is.
func (f *fleet) links(ctx context.Context) ([]*target, error) {
	if err := f.certificate(); err != nil {
		return nil, err
	}
	relay, err := f.start(ctx, "relay", nil, f.bench.self, "relay", "-cert", f.cert, "-key", f.key)
	if err != nil {
		return nil, err
	}
	at, err := relay.awaitAddresses(2)
	if err != nil {
		return nil, err
	}
	var links []*target
	for i, name := range []string{linkPlain, linkTLS} {
		backend := []string{"http://", "https://"}[i] + at[i]
		agent, err := f.agent(ctx, name, backend, tunnelName(i))
		if err != nil {
			return nil, err
		}
		links = append(links, &target{name: name, addr: at[0], prefix: "/" + tunnelName(i), processes: []*process{relay, agent}})
	}
	return links, nil
}

func reportLoad(r *report) {
	var rows, secure [][]string
	for _, row := range loadRows() {
		of := func(target, value string) series { return r.samples.of(loadSection, row.name, target, value) }
		ratio := func(target, value string) string {
			if target == twoHops {
				return "1"
			}
			return of(target, value).over(of(twoHops, value)).spread().cell(2)
		}
		figure := func(target, value string) string { return of(target, value).spread().plainCell(0) }
		for _, target := range []string{direct, oneHop, twoHops, ourTunnel} {
			cpu, cpuRatio := figure(target, cpuValue), ratio(target, cpuValue)
			if target == direct {
				cpu, cpuRatio = "–", "–"
			}
			rows = append(rows, []string{
				row.name, target, cpu, cpuRatio, figure(target, rateValue), ratio(target, rateValue),
				figure(target, p50Value), ratio(target, p50Value), figure(target, p99Value), ratio(target, p99Value),
			})
		}
		if askedAt(row, linkTLS) {
			link := of(linkTLS, cpuValue).above(of(linkPlain, cpuValue)).over(of(twoHops, cpuValue)).spread()
			all := of(ourTLS, cpuValue).over(of(twoHopsTLS, cpuValue)).spread()
			secure = append(secure, []string{
				row.name, figure(linkPlain, cpuValue), figure(linkTLS, cpuValue), link.cell(2),
				figure(ourTLS, cpuValue), figure(twoHopsTLS, cpuValue), all.cell(2),
			})
		}
	}
	r.table("Requests", 2, []string{
		"answers", "through", "CPU µs/request", "×", "requests/s", "×", "p50 µs", "×", "p99 µs", "×",
	}, rows)
	r.print("\nCPU is that of the tunnel's processes, user and system. Requests/s is the machine's processors divided by everything, local service and visitors included.\n")
	r.table("TLS, CPU µs/request", 1, []string{
		"answers", "link without TLS", "link in TLS", "TLS costs × two hops", ourTLS, twoHopsTLS, "×",
	}, secure)
	r.print("\nIn the first three, visitors use no TLS (a relay with two listeners, one of them for the agent). “All in TLS” is both: visitors and link, or visitors and what is between the hops.\n")
}
