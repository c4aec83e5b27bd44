package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"culvert/backend/pathform"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

const (
	msgNoMemory  = "The relay has too many large bodies in memory: try again in a moment."
	msgNoUpgrade = "This tunnel's program speaks a form of the protocol that carries no WebSockets. Update it, or use Culvert's own."
	msgNoMethod  = "This tunnel's program does not understand requests with this method."
	msgTooLate   = "The service behind this tunnel did not answer in time."
)

// original reports whether an original agent answers requests with this method.
func original(method string) bool {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// exchange carries a visitor's request as one message.
func (l *link1) exchange(v *visit) bool {
	switch {
	case visitor.OffersUpgrade(v.head.Upgrade, "websocket"):
		v.fail(http.StatusNotImplemented, msgNoUpgrade, true)
		return true
	case !l.declared && !original(v.head.Method):
		v.fail(http.StatusNotImplemented, msgNoMethod, v.head.ContentLength == 0)
		return true
	case !v.readWhole(l.memory):
		return true
	}
	p, err := l.begin()
	if err == errLinkBusy {
		v.fail(http.StatusServiceUnavailable, msgBusy, true)
		return true
	}
	if err != nil {
		return false
	}
	defer l.end(p)
	ctx, cancel := context.WithTimeout(v.r.Context(), l.limits.AnswerTimeout)
	defer cancel()
	text, err := wire.Encode(requestMessage(p.id, v.head, v.whole))
	if err != nil {
		v.fail(http.StatusBadRequest, "Bad request.", true)
		return true
	}
	err = l.write(ctx, text)
	if err == errLinkOver {
		return false
	}
	var answer answer1
	if err == nil {
		select {
		case answer = <-p.answer:
			defer l.release(answer)
			err = answer.err
		case <-l.over:
			err = errLinkOver
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	switch {
	case v.gone():
		panic(http.ErrAbortHandler)
	case errors.Is(err, context.DeadlineExceeded):
		v.fail(http.StatusGatewayTimeout, msgTooLate, true)
	case err != nil:
		status, message := failure(err)
		v.fail(status, message, true)
	default:
		v.answerWhole(answer.HTTPResponse, !l.declared)
	}
	return true
}

// requestMessage is a request as form 1 has it. Host has no field of its own there.
func requestMessage(id string, head *wire.RequestHead, body []byte) *wire.HTTPRequest {
	header := maps.Clone(head.Header)
	header["Host"] = []string{head.Host}
	return &wire.HTTPRequest{
		RequestID: id, Method: head.Method, URI: wire.EscapeTarget(head.Target), Header: header, Body: body,
		Timestamp: time.Now().UnixMilli(),
	}
}

const (
	// firstPart is what the first bytes of a body are read into; it doubles as they
	// arrive.
	firstPart = 4 << 10
	// slowestBody is how many bytes a second of a request's body are fast enough in
	// the long run.
	slowestBody = 16 << 10
)

// readWhole reads the request's body, once for all attempts to send it. It returns
// false if it has answered the visitor instead. What it takes of the memory,
// giveBack gives back.
func (v *visit) readWhole(memory *share) bool {
	limit := v.s.cfg.Limits.BodyBytes
	switch {
	case v.head.ContentLength == 0 || v.whole != nil:
		return true
	case v.head.ContentLength > limit:
		v.failTooLarge(limit)
		return false
	}
	v.memory = memory
	v.waiting.shorten(v.s.cfg.Limits.BodyStallTimeout)
	body, err := v.readBody(limit)
	v.waiting.afterRead(true)
	switch {
	case err == nil:
	case err == errBodyTooLarge:
		v.failTooLarge(limit)
		return false
	case err == errNoMemory:
		v.fail(http.StatusServiceUnavailable, msgNoMemory, false)
		return false
	case err == errBodyTooSlow, errors.Is(err, os.ErrDeadlineExceeded):
		v.fail(http.StatusRequestTimeout, "The request's body came too slowly.", false)
		return false
	default:
		v.fail(http.StatusBadRequest, msgBadBody, false)
		return false
	}
	v.whole = body
	v.r.Body = io.NopCloser(bytes.NewReader(body)) // should the next attempt be in form 2
	return true
}

// Reasons for not reading a body to its end.
var (
	errBodyTooLarge = errors.New("the body is larger than one may be")
	errBodyTooSlow  = errors.New("the body comes too slowly")
	errNoMemory     = errors.New("no memory is left for the body")
)

// readBody reads the request's body into memory that is taken as bytes arrive: a
// visitor who only announces a large body must not hold the memory for it.
func (v *visit) readBody(limit int64) ([]byte, error) {
	size := limit + 1 // of which the last byte shows that there is too much
	if v.head.ContentLength > 0 {
		size = v.head.ContentLength
	}
	from, start := patientBody{v}, time.Now()
	body := []byte(nil)
	for {
		if len(body) == cap(body) && int64(len(body)) < size {
			next := min(max(firstPart, 2*int64(cap(body))), size)
			if !v.memory.take(requestBody, next-int64(cap(body))) {
				return nil, errNoMemory
			}
			v.taken = next
			body = append(make([]byte, 0, next), body...)
		}
		room := body[len(body):cap(body)]
		if len(room) == 0 {
			room = make([]byte, 1) // nothing but the end can follow
		}
		n, err := from.Read(room)
		body = body[:min(len(body)+n, cap(body))]
		switch {
		case int64(len(body)) > limit:
			return nil, errBodyTooLarge
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, err
		case time.Since(start) > v.s.cfg.Limits.BodyStallTimeout+time.Duration(len(body))*time.Second/slowestBody:
			return nil, errBodyTooSlow
		}
	}
}

// giveBack gives back the memory of the request's body.
func (v *visit) giveBack() {
	if v.memory != nil {
		v.memory.give(requestBody, v.taken)
	}
}

func (v *visit) failTooLarge(limit int64) {
	v.fail(http.StatusRequestEntityTooLarge, "The request's body is too large: this tunnel's program takes at most "+
		strconv.FormatInt(limit, 10)+" bytes.", false)
}

// patientBody reads a request's body under the visitor's deadlines.
type patientBody struct{ v *visit }

func (b patientBody) Read(p []byte) (int, error) {
	b.v.waiting.beforeRead()
	n, err := b.v.r.Body.Read(p)
	b.v.waiting.afterRead(err != nil)
	return n, err
}

// answerWhole passes on an answer in form 1. With mapped, its paths are made to
// fit the path form, which agents of our own do themselves.
func (v *visit) answerWhole(answer *wire.HTTPResponse, mapped bool) {
	if mapped && v.head.Prefix != "" {
		view := pathform.View{
			Prefix: v.head.Prefix,
			Scheme: v.head.Header.Get("X-Forwarded-Proto"), Host: v.head.Header.Get("X-Forwarded-Host"),
		}
		view.MapHeader(answer.Header)
	}
	v.waiting.shorten(v.s.cfg.Limits.BodyStallTimeout)
	visitor.CopyAnswer(v.w.Header(), answer.Header)
	length, hasBody := int64(len(answer.Body)), bodyAllowed(answer.StatusCode)
	switch {
	case v.r.Method == http.MethodHead:
		length, hasBody = headLength(answer), false
	case !hasBody:
		length = -1
	}
	v.frame(answer.StatusCode, length)
	v.waiting.beforeWrite()
	v.w.WriteHeader(answer.StatusCode)
	v.waiting.afterWrite()
	if !hasBody {
		return
	}
	for body := range slices.Chunk(answer.Body, copySize) {
		v.waiting.beforeWrite()
		_, err := v.w.Write(body)
		v.waiting.afterWrite()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// headLength is the length that the answer to HEAD says a GET would have.
func headLength(answer *wire.HTTPResponse) int64 {
	n, err := strconv.ParseInt(answer.Header.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
