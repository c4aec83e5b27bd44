package mux

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// life remembers when the peer gave the last sign of life. Times count from the
// connection's start on the monotonic clock: setting the clock does not matter.
type life struct {
	start  time.Time
	last   atomic.Int64 // time.Duration since start
	asking atomic.Bool  // somebody waits for a sign

	mu      sync.Mutex
	waiters []chan struct{}
}

func (l *life) init() { l.start = time.Now() }

func (l *life) now() time.Duration { return time.Since(l.start) }

// seen notes a sign of life.
func (l *life) seen() {
	l.last.Store(int64(l.now()))
	if !l.asking.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiters {
		close(w)
	}
	l.waiters = nil
	l.asking.Store(false)
}

// next gives a channel that the next sign of life closes.
func (l *life) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := make(chan struct{})
	l.waiters = append(l.waiters, w)
	l.asking.Store(true)
	return w
}

// LastSeen is when the peer last gave a sign of life, or else the connection's start.
func (c *Conn) LastSeen() time.Time {
	return c.life.start.Add(time.Duration(c.life.last.Load()))
}

// Probe pings the peer and waits for any sign of life. It gives ctx's cause if
// none comes in time, or the connection's end.
func (c *Conn) Probe(ctx context.Context) error {
	sign := c.life.next()
	c.w.ping()
	select {
	case <-sign:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch pings a silent peer, ends the connection when it stays silent or ctx is
// over, and sees to it that an ended connection closes even if the peer is stuck.
// over is closed when nobody reads or writes any more.
func (c *Conn) watch(ctx context.Context, over <-chan struct{}) {
	quiet := silence{interval: c.cfg.PingInterval, timeout: c.cfg.PingTimeout}
	_, _, wait := quiet.check(c.life.now(), 0)
	timer := time.NewTimer(aligned(wait))
	defer timer.Stop()
	cancelled := ctx.Done()
	for {
		select {
		case <-timer.C:
		case <-cancelled:
			cancelled = nil
			c.end(ending{err: context.Cause(ctx), graceful: true, code: closeGoingAway})
			continue
		case <-c.done:
			if c.ended().graceful {
				grace := time.NewTimer(closeGrace)
				defer grace.Stop()
				select {
				case <-over:
				case <-grace.C:
				}
			}
			c.ws.Close()
			return
		}
		ping, dead, wait := quiet.check(c.life.now(), time.Duration(c.life.last.Load()))
		if dead {
			c.end(ending{err: ErrDead})
			continue
		}
		if ping {
			c.w.ping()
		}
		timer.Reset(aligned(wait))
	}
}

// tick is what the watches of all connections of a process keep to, so that a thousand
// idle ones wake it once a second and not a hundred times.
const tick = time.Second

// aligned is wait and up to a tick more, unless the wait is so short that this would
// look like having been asleep: a dead peer would never be noticed then.
func aligned(wait time.Duration) time.Duration {
	if wait <= tick {
		return wait
	}
	end := time.Now().Add(wait)
	if over := end.Sub(end.Truncate(tick)); over > 0 {
		wait += tick - over
	}
	return wait
}

// silence decides what to do about a quiet peer. All times are those of life.
type silence struct {
	interval, timeout time.Duration
	due               time.Duration // when check wanted to be called again
	since             time.Duration // silence counts from here at the earliest
	pinged            time.Duration
}

// check is told the time and when the last sign of life came. It says whether to
// ping now, whether the peer is dead, and how long to wait before the next check.
func (s *silence) check(now, last time.Duration) (ping, dead bool, wait time.Duration) {
	if s.due > 0 && now-s.due > s.interval {
		// We were asleep ourselves, and could not have heard anything: the peer has
		// until the timeout to answer a ping.
		s.since = now - s.interval
	}
	heard := max(s.since, last)
	if now-heard >= s.timeout {
		return false, true, 0
	}
	s.due = heard + s.interval
	if now >= s.due {
		if s.pinged <= heard || now-s.pinged >= s.interval {
			ping, s.pinged = true, now
		}
		s.due = min(s.pinged+s.interval, heard+s.timeout)
	}
	return ping, false, s.due - now
}
