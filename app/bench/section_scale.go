package main

import (
	"context"
	"fmt"
)

const scaleSection = "scale"

func connsRow(n int) string { return fmt.Sprintf("%d connections", n) }

func (b *bench) connsAsked() []int {
	if b.quick {
		return []int{16, 64}
	}
	return []int{16, 64, 256, 512}
}

func (b *bench) tunnelsAsked() []int {
	if b.quick {
		return []int{1, 5}
	}
	return []int{1, 10, 50, 200}
}

func tunnelsRow(n int) string {
	if n == 1 {
		return "1 tunnel"
	}
	return fmt.Sprintf("%d tunnels", n)
}

// manyTunnels is the target of the rows with so many tunnels.
const manyTunnels = "Culvert, tunnels"

// askScale: does a request cost more where there are many connections or tunnels?
func askScale(ctx context.Context, b *bench) error {
	return withFleet(ctx, b, func(f *fleet) error {
		hops, err := f.hops(ctx, twoHops, 2, false)
		if err != nil {
			return err
		}
		ours, err := f.culvert(ctx, ourTunnel, false)
		if err != nil {
			return err
		}
		if err := verifyAll(ctx, hops, ours); err != nil {
			return err
		}
		type ask func(round int) error
		var asks []ask
		for _, t := range []*target{hops, ours} {
			for _, n := range b.connsAsked() {
				asks = append(asks, func(round int) error {
					return f.sample(ctx, scaleSection, connsRow(n), round, t, b.plan(loadRow{conns: n, path: "/small", size: smallBody}))
				})
			}
		}
		for _, n := range b.tunnelsAsked() {
			t, err := f.crowd(ctx, manyTunnels, n, nil)
			if err != nil {
				return err
			}
			b.say("%s online", tunnelsRow(n))
			p := b.plan(loadRow{conns: 64, size: smallBody})
			p.Paths = nil
			for i := range n {
				p.Paths = append(p.Paths, "/"+tunnelName(i)+"/small")
			}
			asks = append(asks, func(round int) error {
				return f.sample(ctx, scaleSection, tunnelsRow(n), round, t, p)
			})
		}
		return eachRound(ctx, b, b.rounds, asks, func(round int, ordered []ask) error {
			for _, do := range ordered {
				if err := do(round); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func reportScale(r *report) {
	var rows [][]string
	for _, target := range []string{twoHops, ourTunnel, manyTunnels} {
		asked := r.samples.rows(scaleSection, target)
		of := func(row string) series { return r.samples.of(scaleSection, row, target, cpuValue) }
		for _, row := range asked {
			rows = append(rows, []string{
				target, row, of(row).spread().cell(1), of(row).over(of(asked[0])).spread().cell(2),
				r.samples.of(scaleSection, row, target, p99Value).spread().plainCell(0),
			})
		}
	}
	r.table("Many connections, many tunnels (200 B)", 2, []string{"through", "with", "CPU µs/request", "× the fewest", "p99 µs"}, rows)
	r.print("\nThe rows of many tunnels have 64 connections, each of which takes one tunnel after the other; their agents are one process.\n")
}
