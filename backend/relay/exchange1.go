package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
	case strings.EqualFold(v.head.Upgrade, "websocket"):
		v.fail(http.StatusNotImplemented, msgNoUpgrade, true)
		return true
	case !l.declared && !original(v.head.Method):
		v.fail(http.StatusNotImplemented, msgNoMethod, v.head.ContentLength == 0)
		return true
	case !v.readWhole():
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
	err = l.send(ctx, text)
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

// readWhole reads the request's body, once for all attempts to send it. It returns
// false if it has answered the visitor instead. What it takes from the memory
// budget, visit gives back.
func (v *visit) readWhole() bool {
	limit := v.s.cfg.Limits.BodyBytes
	switch {
	case v.head.ContentLength == 0 || v.whole != nil:
		return true
	case v.head.ContentLength > limit:
		v.failTooLarge(limit)
		return false
	}
	size := v.head.ContentLength
	if size < 0 {
		size = limit
	}
	if !v.s.memory.take(size) {
		v.fail(http.StatusServiceUnavailable, msgNoMemory, false)
		return false
	}
	v.taken = size
	body, err := io.ReadAll(io.LimitReader(patientBody{v}, limit+1))
	v.waiting.afterRead(true)
	switch {
	case err != nil:
		v.fail(http.StatusBadRequest, msgBadBody, false)
		return false
	case int64(len(body)) > limit:
		v.failTooLarge(limit)
		return false
	}
	v.s.memory.give(v.taken - int64(len(body)))
	v.taken = int64(len(body))
	v.whole = body
	v.r.Body = io.NopCloser(bytes.NewReader(body)) // should the next attempt be in form 2
	return true
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
