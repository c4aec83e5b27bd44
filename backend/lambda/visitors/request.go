package visitors

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

const (
	// blobOver is the size over which bodies go by the object store, in bytes: below
	// it, messages are cheaper.
	blobOver = 100 << 10
	// afterwards is how much longer than the wait a ticket is valid: clocks differ.
	afterwards = 5 * time.Second
)

// original reports whether an original agent answers requests with this method.
func original(method string) bool {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// can reports whether both sides use the capability, which is so only beside session.
func can(t *store.Tunnel, c wire.Capability) bool { return t.Can(wire.CapSession) && t.Can(c) }

// compose makes the messages of the request for the agent that holds the tunnel now.
func (x *exchange) compose(ctx context.Context) *refusal {
	t := x.at()
	declared := t.Declared
	if !declared && !original(x.req.Method) {
		return refuse(http.StatusNotImplemented, msgNoMethod)
	}
	if x.header == nil {
		x.header = x.requestHeader()
	}
	if err := x.issue(ctx); err != nil {
		x.v.cfg.Log.Error("no keys for request IDs", "error", err)
		return refuse(http.StatusServiceUnavailable, msgNoKeys)
	}
	x.in = inbox{id: x.id, declared: declared}
	m := &wire.HTTPRequest{
		RequestID: x.id, Method: x.req.Method, URI: wire.EscapeTarget(x.route.target), Header: x.header, Body: x.req.Body,
		Timestamp: time.Now().UnixMilli(),
	}
	if declared {
		m.TimeoutMS = max(time.Until(x.last).Milliseconds(), 1)
		if x.streaming && can(t, wire.CapStream) {
			m.Stream, m.Credit = true, creditWindow
			x.in.window = newWindow()
		} else if can(t, wire.CapBlob) && x.v.cfg.Bodies != nil && x.req.Method != http.MethodHead {
			upload, err := x.v.cfg.Bodies.OfferAnswer(ctx, x.ticket.Key(), wire.MaxParts)
			if err != nil {
				x.v.cfg.Log.Warn("no upload offered", "error", err)
			}
			m.Upload = upload
		}
	}
	return x.fit(ctx, m)
}

// fit makes the body of m fit messages.
func (x *exchange) fit(ctx context.Context, m *wire.HTTPRequest) *refusal {
	t, size := x.at(), int64(len(m.Body))
	if can(t, wire.CapGzip) {
		m.Body, m.Encoding = x.v.packer.Pack(m.Header, m.Body)
	}
	if len(m.Body) > blobOver && can(t, wire.CapBlob) && x.v.cfg.Bodies != nil {
		url, err := x.v.cfg.Bodies.PutRequest(ctx, x.ticket.Key(), x.req.Body)
		if err == nil {
			m.Body, m.Encoding, m.BodyURL, m.BodySize = nil, wire.EncodingNone, url, size
		} else {
			x.v.cfg.Log.Warn("request body not stored: it goes in parts", "error", err)
		}
	}
	x.parts = x.parts[:0]
	x.parts = append(x.parts, m)
	if can(t, wire.CapChunks) && m.BodyURL == "" {
		chunks, err := m.Cut(size)
		if err != nil {
			return x.tooLarge(m, wire.MaxParts)
		}
		for _, c := range chunks {
			x.parts = append(x.parts, c)
		}
	} else if m.Encoding != wire.EncodingNone {
		m.BodySize = size
	}
	x.spare = 4*len(x.parts) + 8
	return x.checkSize(m)
}

// checkSize refuses what does not fit the one message that an agent takes.
func (x *exchange) checkSize(m *wire.HTTPRequest) *refusal {
	text, err := wire.Encode(m)
	if err != nil {
		return refuse(http.StatusBadRequest, "Bad request.")
	}
	if len(text) <= wire.MaxGatewayMessage {
		return nil
	}
	room := wire.MaxGatewayMessage - (len(text) - (len(m.Body)+2)/3*4)
	return x.tooLarge(m, room/4*3)
}

// tooLarge says how large a body may be, or that the head alone is too large.
func (x *exchange) tooLarge(m *wire.HTTPRequest, limit int) *refusal {
	if limit <= 0 || len(x.req.Body) <= limit {
		return refuse(http.StatusBadRequest, "Bad request: its header is too large.")
	}
	return refuse(http.StatusRequestEntityTooLarge, "The request's body is too large: this tunnel's program takes at most "+
		strconv.Itoa(limit)+" bytes.")
}

// requestHeader is the request's header as the agent gets it. Host has no field of
// its own in a message.
func (x *exchange) requestHeader() http.Header {
	h := maps.Clone(x.req.Header)
	if h == nil {
		h = http.Header{}
	}
	visitor.RemoveHopByHop(h)
	delete(h, "Content-Length")
	delete(h, "Expect") // the gateway has seen to it
	peer, _ := visitor.ParseIP(x.req.SourceIP)
	// API Gateway appends to what the visitor says of itself: only the address that
	// it saw counts.
	visitor.Proxies{}.Forward(h, visitor.Hop{Peer: peer, Proto: x.req.Proto, Host: x.req.Host})
	h["Host"] = []string{x.req.Host}
	return h
}

// issue makes the request ID. Whoever shows no session token can only answer over the
// connection that the request was sent to.
func (x *exchange) issue(ctx context.Context) error {
	keys, err := x.v.cfg.Keys(ctx)
	if err != nil {
		return err
	}
	t := x.at()
	if x.ticket.Tunnel == "" {
		x.ticket = ticket.Ticket{Nonce: ticket.NewNonce(), Tunnel: x.route.id}
	}
	x.ticket.Bound = !t.Can(wire.CapSession)
	x.ticket.Stream = x.streaming && can(t, wire.CapStream)
	expires := x.head
	if x.ticket.Stream {
		expires = x.last
	}
	x.ticket.Expires = expires.Add(afterwards)
	if x.ticket.Waiter = x.turn.Connection(); len(x.ticket.Waiter) > ticket.MaxWaiter {
		x.ticket.Waiter = ""
	}
	if x.ticket.Bound && t.Connection == "" {
		return errors.New("the tunnel's record names no connection")
	}
	x.id = keys.Issue(x.ticket, t.Connection)
	x.turn.Expect(x.id)
	return nil
}
