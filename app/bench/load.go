package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"culvert/app/config"
)

// plan is what a load is to do.
type plan struct {
	Kind     kind          `json:"kind"`
	Addr     string        `json:"addr"`
	CA       string        `json:"ca,omitempty"` // trusted certificate; "" is without TLS
	Paths    []string      `json:"paths"`        // each connection takes one after the other
	Length   int64         `json:"length"`       // of each answer, or of the body that is sent
	Conns    int           `json:"conns"`        // paced: for each path
	Warmup   time.Duration `json:"warmup"`       // not counted
	Duration time.Duration `json:"duration"`
	Rate     float64       `json:"rate,omitempty"`  // paced: requests a second for each path
	Times    int           `json:"times,omitempty"` // events: how many connections
}

// kind is a way of visiting.
type kind string

const (
	closed   kind = "closed"   // each connection asks again when it has the answer
	paced    kind = "paced"    // requests come when it is time for them
	download kind = "download" // one large answer
	upload   kind = "upload"   // one large request
	events   kind = "events"   // new connections, until the first event
)

// outcome is what came of it.
type outcome struct {
	Requests int             `json:"requests"`
	Elapsed  time.Duration   `json:"elapsed"`
	P50      time.Duration   `json:"p50"`
	P99      time.Duration   `json:"p99"`
	Each     []time.Duration `json:"each,omitempty"` // paced: p99 of each path
	Failed   int             `json:"failed"`
	Error    string          `json:"error,omitempty"` // the first
}

// load is a plan being carried out.
type load struct {
	plan
	roots *tls.Config // nil: without TLS

	mu      sync.Mutex
	outcome outcome
	all     histogram
}

// loadPart is visitors in a process of their own, whose processor time is not counted.
// It is told a plan, says that it is ready, is told to begin, says what came of it, and
// waits: its parent looks at the clocks in between.
func loadPart(ctx context.Context, _ []string) error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	if !in.Scan() {
		return in.Err()
	}
	var l load
	if err := json.Unmarshal(in.Bytes(), &l.plan); err != nil {
		return err
	}
	if l.CA != "" {
		roots, err := config.ReadRoots(l.CA)
		if err != nil {
			return err
		}
		l.roots = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}}
	}
	visit := map[kind]func(context.Context, *gate){
		closed: l.closed, paced: l.paced, download: l.download, upload: l.upload, events: l.events,
	}[l.Kind]
	if visit == nil {
		return fmt.Errorf("unknown kind of load %q", l.Kind)
	}
	g := newGate(l.visitors())
	done := make(chan struct{})
	go func() {
		defer close(done)
		visit(ctx, g)
	}()
	g.arrived.Wait()
	fmt.Println("ready")
	if !in.Scan() {
		return in.Err()
	}
	begin := time.Now()
	g.open(begin)
	<-done
	l.outcome.Elapsed = time.Since(begin)
	if l.outcome.P50 == 0 {
		l.outcome.P50, l.outcome.P99 = l.all.quantile(.5), l.all.quantile(.99)
	}
	if err := json.NewEncoder(os.Stdout).Encode(&l.outcome); err != nil {
		return err
	}
	in.Scan()
	return in.Err()
}

// visitors is how many goroutines visit.
func (l *load) visitors() int {
	switch l.Kind {
	case closed:
		return l.Conns
	case paced:
		return l.Conns * len(l.Paths)
	default:
		return 1
	}
}

// gate lets visitors begin together.
type gate struct {
	arrived sync.WaitGroup
	opened  chan struct{}
	at      time.Time // once opened
}

func newGate(visitors int) *gate {
	g := &gate{opened: make(chan struct{})}
	g.arrived.Add(visitors)
	return g
}

func (g *gate) open(at time.Time) {
	g.at = at
	close(g.opened)
}

// pass says that a visitor is ready, and waits for the others. Each does it once.
func (g *gate) pass() {
	g.arrived.Done()
	<-g.opened
}

// fail keeps the first error and counts all.
func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outcome.Failed++; l.outcome.Failed == 1 {
		l.outcome.Error = err.Error()
	}
}

// count adds what one visitor has seen.
func (l *load) count(h *histogram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.merge(h)
	l.outcome.Requests += int(h.n)
}

// dial connects.
func (l *load) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", l.Addr)
	if err != nil || l.roots == nil {
		return conn, err
	}
	secure := tls.Client(conn, l.roots)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// request is the bytes of a GET.
func (l *load) request(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, l.Addr)
}

// visitor is one connection with its requests, made beforehand.
type visitor struct {
	conn     net.Conn
	answers  *answers
	requests [][]byte
	next     int
	length   int64
}

func (l *load) newVisitor(ctx context.Context, first int, paths []string) (*visitor, error) {
	conn, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	// Nothing may hang for ever: what takes longer than all of it is an error.
	_ = conn.SetDeadline(time.Now().Add(l.Warmup + l.Duration + patience))
	v := &visitor{conn: conn, answers: newAnswers(conn, int(min(l.Length, 128<<10))+4<<10), next: first, length: l.Length}
	for _, path := range paths {
		v.requests = append(v.requests, l.request(path))
	}
	return v, nil
}

// visit is one request and its answer.
func (v *visitor) visit() error {
	request := v.requests[v.next%len(v.requests)]
	v.next++
	if _, err := v.conn.Write(request); err != nil {
		return err
	}
	return v.answers.whole(v.length)
}

// closed has every connection ask again as soon as it has its answer.
func (l *load) closed(ctx context.Context, g *gate) {
	var visitors sync.WaitGroup
	defer visitors.Wait()
	warm := time.Now().Add(l.Warmup)
	for i := range l.Conns {
		visitors.Go(func() {
			v, err := l.newVisitor(ctx, i, l.Paths)
			for err == nil {
				if err = v.visit(); !time.Now().Before(warm) {
					break
				}
			}
			g.pass()
			if err != nil {
				l.fail(err)
				return
			}
			defer v.conn.Close()
			h := new(histogram)
			end := g.at.Add(l.Duration)
			for now := g.at; now.Before(end); {
				if err := v.visit(); err != nil {
					l.fail(err)
					break
				}
				then := time.Now()
				h.add(then.Sub(now))
				now = then
			}
			l.count(h)
		})
	}
}
