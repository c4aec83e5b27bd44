package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

const bodiesSection = "bodies"

// Rows of the section, and the values that only it has.
const (
	downloadRow = "1 GB download"
	uploadRow   = "1 GB upload"
	eventsRow   = "first event"
	aloneRow    = "alone"
	stalledRow  = "beside a visitor who takes nothing"

	publicGrown = "public_mb_above_idle" // of the process that visitors reach
	localGrown  = "local_mb_above_idle"  // of the one beside the local service
)

// bulk is the size of large bodies.
func (b *bench) bulk() int64 { return int64(b.fewer(1e9, 16e6)) }

// askBodies: how fast are large bodies, what do they take, and whom do they disturb?
func askBodies(ctx context.Context, b *bench) error {
	return withFleet(ctx, b, func(f *fleet) error {
		hops, err := f.hops(ctx, twoHops, 2, false)
		if err != nil {
			return err
		}
		slices.Reverse(hops.processes) // the public one first, as with a tunnel
		ours, err := f.culvert(ctx, ourTunnel, false)
		if err != nil {
			return err
		}
		idle := make(map[*target][]int64)
		for _, t := range []*target{hops, ours} {
			if idle[t], err = t.memory("VmRSS"); err != nil {
				return err
			}
		}
		if err := verifyAll(ctx, hops, ours); err != nil {
			return err
		}
		targets := []*target{f.direct(), hops, ours}
		return eachRound(ctx, b, b.rounds, targets, func(round int, ordered []*target) error {
			for _, row := range []string{downloadRow, uploadRow} {
				for _, t := range ordered {
					if err := f.sampleBulk(ctx, row, round, t, idle[t]); err != nil {
						return err
					}
				}
			}
			for _, row := range []string{eventsRow, aloneRow, stalledRow} {
				for _, t := range ordered {
					if err := f.sampleBeside(ctx, row, round, t); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// memory reads a figure of each process.
func (t *target) memory(field string) (all []int64, err error) {
	for _, p := range t.processes {
		n, err := memory(p.pid(), field)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// sampleBulk moves one large body and sees how much the processes grow.
func (f *fleet) sampleBulk(ctx context.Context, row string, round int, t *target, idle []int64) error {
	p := plan{Kind: download, Paths: []string{fmt.Sprintf("/bulk?n=%d", f.bench.bulk())}, Length: f.bench.bulk(), Duration: time.Minute}
	if row == uploadRow {
		p.Kind, p.Paths = upload, []string{"/sink"}
	}
	for _, p := range t.processes {
		if err := resetPeak(p.pid()); err != nil {
			return err
		}
	}
	m, err := f.measureQuietly(ctx, t, p)
	if err != nil {
		return fmt.Errorf("%s: %w", row, err)
	}
	values := m.values(p)
	peaks, err := t.memory("VmHWM")
	if err != nil {
		return err
	}
	for i, peak := range peaks {
		values[[]string{publicGrown, localGrown}[i]] = max(0, float64(peak-idle[i])/1e6)
	}
	return f.bench.add(sample{bodiesSection, row, t.name, round, values})
}

// sampleBeside measures what is quick.
func (f *fleet) sampleBeside(ctx context.Context, row string, round int, t *target) error {
	p := f.bench.plan(loadRow{conns: 16, path: "/small", size: smallBody})
	switch row {
	case eventsRow:
		p = plan{Kind: events, Paths: []string{"/events"}, Times: f.bench.fewer(20, 3)}
	case stalledRow:
		stalled, err := t.stall(f.bench.bulk())
		if err != nil {
			return fmt.Errorf("%s: %w", row, err)
		}
		defer stalled.Close()
	}
	return f.sample(ctx, bodiesSection, row, round, t, p)
}

// stall begins a download and takes no more than its head. Whatever is on the way between
// here and the local service fills up while the load warms up.
func (t *target) stall(n int64) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", t.addr, patience)
	if err != nil {
		return nil, err
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // what is in the buffers is nobody's
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err = fmt.Fprintf(conn, "GET %s/bulk?n=%d HTTP/1.1\r\nHost: %s\r\n\r\n", t.prefix, n, t.addr); err == nil {
		var h answerHead
		if h, err = newAnswers(conn, 0).head(); err == nil && (h.status != 200 || h.length != n) {
			err = fmt.Errorf("status %d with %d bytes, want %d", h.status, h.length, n)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func reportBodies(r *report) {
	names := []string{direct, twoHops, ourTunnel}
	var bulk, beside [][]string
	of := func(row, target, value string) series { return r.samples.of(bodiesSection, row, target, value) }
	ratio := func(row, target, value string) string {
		if target == twoHops {
			return "1"
		}
		return of(row, target, value).over(of(row, twoHops, value)).spread().cell(2)
	}
	for _, row := range []string{downloadRow, uploadRow} {
		for _, target := range names {
			most := func(value string) string {
				s := of(row, target, value).spread()
				if s.n == 0 {
					return "–"
				}
				return number(s.most, 1)
			}
			bulk = append(bulk, []string{
				row, target, of(row, target, speedValue).spread().cell(0), ratio(row, target, speedValue), most(publicGrown), most(localGrown),
			})
		}
	}
	for _, target := range names {
		p99 := func(row string) series { return of(row, target, p99Value) }
		beside = append(beside, []string{
			target, of(eventsRow, target, p50Value).spread().plainCell(0), ratio(eventsRow, target, p50Value),
			p99(aloneRow).spread().plainCell(0), p99(stalledRow).spread().plainCell(0), p99(stalledRow).over(p99(aloneRow)).spread().cell(2),
		})
	}
	r.table("Large bodies", 2, []string{
		"body", "through", "MB/s", "×", "public process: MB above idle, at most", "local process",
	}, bulk)
	r.table("Beside them", 1, []string{
		"through", "first event on a new connection, µs", "×", "200 B at 16 connections: p99 µs", "beside a visitor who takes nothing of 1 GB", "× alone",
	}, beside)
}
