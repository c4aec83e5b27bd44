package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// bulkVisitor is a connection that has its first answer already.
func (l *load) bulkVisitor(ctx context.Context, g *gate) *visitor {
	v, err := l.newVisitor(ctx, 0, l.Paths)
	g.pass()
	if err != nil {
		l.fail(err)
		return nil
	}
	return v
}

// download fetches one large body.
func (l *load) download(ctx context.Context, g *gate) {
	v := l.bulkVisitor(ctx, g)
	if v == nil {
		return
	}
	defer v.conn.Close()
	if err := v.visit(); err != nil {
		l.fail(err)
		return
	}
	l.outcome.Requests = 1
}

// upload sends one large body, and wants to be told its length.
func (l *load) upload(ctx context.Context, g *gate) {
	v := l.bulkVisitor(ctx, g)
	if v == nil {
		return
	}
	defer v.conn.Close()
	if err := v.upload(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", l.Paths[0], l.Addr, l.Length)); err != nil {
		l.fail(err)
		return
	}
	l.outcome.Requests = 1
}

func (v *visitor) upload(head []byte) error {
	if _, err := v.conn.Write(head); err != nil {
		return err
	}
	piece := content(128 << 10)
	for left := v.length; left > 0; left -= int64(len(piece)) {
		if _, err := v.conn.Write(piece[:min(left, int64(len(piece)))]); err != nil {
			return err
		}
	}
	want := strconv.FormatInt(v.length, 10)
	h, err := v.answers.head()
	if err != nil {
		return err
	}
	if h.status != 200 || h.length != int64(len(want)) {
		return fmt.Errorf("status %d with %d bytes after an upload", h.status, h.length)
	}
	got, err := v.answers.take(len(want))
	if err == nil && string(got) != want {
		err = fmt.Errorf("%s bytes of the upload arrived, want %s", got, want)
	}
	return err
}

// take reads n bytes, which must fit into the buffer.
func (a *answers) take(n int) ([]byte, error) {
	for a.end-a.begin < n {
		if err := a.fill(); err != nil {
			return nil, err
		}
	}
	a.begin += n
	return a.buf[a.begin-n : a.begin], nil
}

// events opens connections, one after the other, until each has its first event.
func (l *load) events(ctx context.Context, g *gate) {
	g.pass()
	var times []time.Duration
	for range l.Times {
		begin := time.Now()
		if err := l.firstEvent(ctx); err != nil {
			l.fail(err)
			return
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	l.outcome.Requests = len(times)
	l.outcome.P50, l.outcome.P99 = times[len(times)/2], times[len(times)-1]
}

func (l *load) firstEvent(ctx context.Context) error {
	v, err := l.newVisitor(ctx, 0, l.Paths)
	if err != nil {
		return err
	}
	defer v.conn.Close()
	if _, err := v.conn.Write(v.requests[0]); err != nil {
		return err
	}
	h, err := v.answers.head()
	if err != nil {
		return err
	}
	if h.status != 200 || !h.chunked {
		return fmt.Errorf("status %d with %d bytes, want an event stream", h.status, h.length)
	}
	for {
		have := v.answers.buf[v.answers.begin:v.answers.end]
		switch {
		case bytes.Contains(have, []byte(firstEvent)):
			return nil
		case len(have) > maxHead/2:
			return fmt.Errorf("no event: %.60q", have)
		}
		if err := v.answers.fill(); err != nil {
			return err
		}
	}
}
