package main

import (
	"context"
	"sync"
	"time"
)

// paced has requests come when it is time for them, however long the last answer takes
// (as far as there are connections): the p99 of each path is told apart.
func (l *load) paced(ctx context.Context, g *gate) {
	l.outcome.Each = make([]time.Duration, len(l.Paths))
	each := make([]histogram, len(l.Paths))
	all := l.Conns * len(l.Paths)
	interval := time.Duration(float64(time.Second) * float64(l.Conns) / l.Rate)
	var visitors sync.WaitGroup
	for n := range all {
		path := n % len(l.Paths)
		visitors.Go(func() {
			v, err := l.newVisitor(ctx, 0, l.Paths[path:path+1])
			if err == nil {
				err = v.visit()
			}
			g.pass()
			if err != nil {
				l.fail(err)
				return
			}
			defer v.conn.Close()
			var h histogram
			// Evenly spread: neither tunnels nor connections take turns together.
			if err := v.keepPace(g.at.Add(interval*time.Duration(n)/time.Duration(all)), interval, g.at.Add(l.Duration), &h); err != nil {
				l.fail(err)
			}
			l.count(&h)
			l.mu.Lock()
			each[path].merge(&h)
			l.mu.Unlock()
		})
	}
	visitors.Wait()
	for i := range each {
		l.outcome.Each[i] = each[i].quantile(.99)
	}
}

// keepPace visits at first and every interval after it, until end. A request that could
// not leave when it was due, since the answer before it was late, has waited since then.
// That a sleeper wakes a bit late is no fault of the tunnel: it is not counted.
func (v *visitor) keepPace(first time.Time, interval time.Duration, end time.Time, h *histogram) error {
	for due := first; due.Before(end); due = due.Add(interval) {
		begin := due
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
			begin = time.Now()
		}
		if err := v.visit(); err != nil {
			return err
		}
		h.add(time.Since(begin))
	}
	return nil
}
