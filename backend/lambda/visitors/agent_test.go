package visitors

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// fakeAgent is an agent as the protocol has it, without a network.
type fakeAgent struct {
	w       *world
	conn    string
	tunnel  string
	caps    []wire.Capability // none: an original agent
	session string
	// instance is its process's name, "" if it does not say.
	instance string
	// serve is the local service. It may use the context, which ends with a cancel.
	serve func(ctx context.Context, r *wire.HTTPRequest) *wire.HTTPResponse
	// stream gives the parts of an answer that is streamed, after its head; nil ends it.
	stream func(ctx context.Context, n int) []byte
	// send passes a message on; tests lose, repeat and delay.
	send func(text []byte)

	mu       sync.Mutex
	requests map[string]*pendingRequest
	kept     map[string][]any
	upto     map[string]int
	more     chan struct{}
	got      []any // everything that came
}

type pendingRequest struct {
	head   *wire.HTTPRequest
	parts  wire.Assembly
	served bool
	cancel context.CancelFunc
	ctx    context.Context
}

// agent makes one that holds the tunnel "shop", and answers 200 with what it was sent.
func (w *world) agent(caps ...wire.Capability) *fakeAgent {
	a := &fakeAgent{
		w: w, tunnel: "shop", caps: caps, instance: "one",
		requests: map[string]*pendingRequest{}, kept: map[string][]any{}, upto: map[string]int{}, more: make(chan struct{}),
	}
	a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
		return &wire.HTTPResponse{StatusCode: 200, Header: http.Header{"X-Uri": {r.URI}}, Body: r.Body}
	}
	if slices.Contains(caps, wire.CapSession) {
		a.session = w.keys.Session(a.tunnel, time.Now().Add(3*time.Hour))
	}
	a.connect(agentConn)
	return a
}

// connect has the agent hold its tunnel by the connection conn.
func (a *fakeAgent) connect(conn string) {
	a.mu.Lock()
	a.conn = conn
	a.mu.Unlock()
	a.w.open(a.tunnel, conn, len(a.caps) > 0, a.caps...)
	a.w.set(func() {
		a.w.agents[conn] = a.receive
		t := a.w.tunnels[a.tunnel]
		t.Instance = a.instance
		a.w.tunnels[a.tunnel] = t
	})
}

func (a *fakeAgent) can(c wire.Capability) bool { return slices.Contains(a.caps, c) }

func (a *fakeAgent) receive(text []byte) {
	decode := wire.Decode
	if len(a.caps) > 0 {
		decode = wire.DecodeDeclared
	}
	message, err := decode(text, wire.MaxGatewayMessage)
	if err != nil {
		a.w.t.Errorf("the agent got what it cannot read: %v", err)
		return
	}
	a.mu.Lock()
	a.got = append(a.got, message)
	a.mu.Unlock()
	switch m := message.(type) {
	case *wire.HTTPRequest:
		a.take(m.RequestID, 0, m.Body, !m.More, m)
	case *wire.Chunk:
		a.take(m.RequestID, m.Seq, m.Body, m.Last, nil)
	case *wire.Resend:
		a.resend(m)
	case *wire.Credit:
		a.mu.Lock()
		a.upto[m.RequestID] = max(a.upto[m.RequestID], m.Upto)
		close(a.more)
		a.more = make(chan struct{})
		a.mu.Unlock()
	case *wire.Cancel:
		a.mu.Lock()
		if a.requests[m.RequestID] == nil {
			a.requests[m.RequestID] = &pendingRequest{served: true, cancel: func() {}}
		}
		a.requests[m.RequestID].cancel()
		a.mu.Unlock()
	}
}

func (a *fakeAgent) take(id string, seq int, body []byte, last bool, head *wire.HTTPRequest) {
	a.mu.Lock()
	p := a.requests[id]
	if p == nil {
		p = &pendingRequest{}
		p.ctx, p.cancel = context.WithCancel(context.Background())
		a.requests[id] = p
		if len(a.caps) > 0 {
			a.w.tasks.Go(func() { a.chase(id, p) })
		}
	}
	if p.head == nil {
		p.head = head
	}
	p.parts.Add(seq, body, last)
	whole, ok := p.parts.Whole()
	if !ok || p.served || p.head == nil {
		a.mu.Unlock()
		return
	}
	p.served = true
	a.mu.Unlock()
	r := *p.head
	r.Body = whole
	if r.Encoding != "" || r.More {
		var err error
		if r.Body, err = wire.Unpack(r.Encoding, whole, r.BodySize); err != nil {
			a.w.t.Errorf("request body: %v", err)
		}
	}
	a.answer(p, &r)
}

// chase asks for parts of the request that do not come.
func (a *fakeAgent) chase(id string, p *pendingRequest) {
	for _, pause := range []time.Duration{2, 4, 8} {
		if timer.Wait(p.ctx, pause*time.Second) != nil {
			return
		}
		a.mu.Lock()
		served, missing := p.served, p.parts.Missing(id)
		a.mu.Unlock()
		if served || missing == nil {
			return
		}
		missing.Session = a.session
		a.emit(missing)
	}
}

func (a *fakeAgent) answer(p *pendingRequest, r *wire.HTTPRequest) {
	m := a.serve(p.ctx, r)
	if m == nil {
		return
	}
	m.RequestID, m.Session = r.RequestID, a.session
	if r.Stream && a.stream != nil {
		a.streamAnswer(p, r, m)
		return
	}
	size := int64(len(m.Body))
	messages := []any{m}
	if a.can(wire.CapChunks) {
		if a.can(wire.CapGzip) {
			m.Body, m.Encoding = new(wire.Packer).Pack(m.Header, m.Body)
		}
		chunks, err := m.Cut(size)
		if err != nil {
			a.w.t.Errorf("answer: %v", err)
		}
		for _, c := range chunks {
			messages = append(messages, c)
		}
	}
	a.keep(r.RequestID, messages...)
	for _, m := range messages {
		a.emit(m)
	}
}

func (a *fakeAgent) streamAnswer(p *pendingRequest, r *wire.HTTPRequest, m *wire.HTTPResponse) {
	a.mu.Lock()
	a.upto[r.RequestID] = max(a.upto[r.RequestID], r.Credit)
	a.mu.Unlock()
	m.More = true
	a.keep(r.RequestID, m)
	a.emit(m)
	for n := 1; ; n++ {
		body := a.stream(p.ctx, n)
		if p.ctx.Err() != nil {
			return
		}
		for {
			a.mu.Lock()
			upto, more := a.upto[r.RequestID], a.more
			a.mu.Unlock()
			if n <= upto {
				break
			}
			select {
			case <-more:
			case <-p.ctx.Done():
				return
			}
		}
		c := &wire.Chunk{RequestID: r.RequestID, Seq: n, Body: body, Last: body == nil, Session: a.session}
		a.keep(r.RequestID, c)
		a.emit(c)
		if c.Last {
			return
		}
	}
}

func (a *fakeAgent) keep(id string, messages ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[id] = append(a.kept[id], messages...)
}

func (a *fakeAgent) resend(want *wire.Resend) {
	a.mu.Lock()
	kept := slices.Clone(a.kept[want.RequestID])
	seen := a.requests[want.RequestID] != nil
	a.mu.Unlock()
	if !seen && want.Wants(0) {
		all := 0
		a.emit(&wire.Resend{RequestID: want.RequestID, From: &all, Session: a.session})
	}
	for _, message := range kept {
		switch m := message.(type) {
		case *wire.HTTPResponse:
			if again := *m; want.Wants(0) {
				again.Resent = true
				a.emit(&again)
			}
		case *wire.Chunk:
			if again := *m; want.Wants(m.Seq) {
				again.Resent = true
				a.emit(&again)
			}
		}
	}
}

// emit sends a message to the backend.
func (a *fakeAgent) emit(message any) {
	text, err := wire.Encode(message)
	if err != nil || len(text) > wire.MaxGatewayMessage {
		a.w.t.Errorf("agent's message of %d bytes: %v", len(text), err)
		return
	}
	if a.send != nil {
		a.send(text)
		return
	}
	a.mu.Lock()
	conn := a.conn
	a.mu.Unlock()
	a.w.fromAgent(conn, text)
}

// after makes the local service take its time.
func (a *fakeAgent) after(d time.Duration) {
	serve := a.serve
	a.serve = func(ctx context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
		time.Sleep(d)
		return serve(ctx, r)
	}
}

// gotOf gives what came of one type.
func gotOf[T any](a *fakeAgent) []T {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []T
	for _, m := range a.got {
		if m, ok := m.(T); ok {
			list = append(list, m)
		}
	}
	return list
}

// noise is a body that does not compress.
func noise(n int, seed byte) []byte {
	var b bytes.Buffer
	x := uint32(seed) + 1
	for b.Len() < n {
		x = x*1664525 + 1013904223
		b.WriteByte(byte(x >> 24))
	}
	return b.Bytes()
}
