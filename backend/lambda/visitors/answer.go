package visitors

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/pathform"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// Messages for visitors.
const (
	msgNoTunnel  = "There is no tunnel of this name here, or its program left some time ago."
	msgNoAgent   = "This tunnel's program is not connected at the moment."
	msgAgentCut  = "The connection to this tunnel's program was lost before it answered."
	msgBusy      = "This tunnel's program takes no more requests at the moment: try again in a moment."
	msgThrottled = "This tunnel has had as many requests as it may within a minute: try again in a moment."
	msgStreams   = "This tunnel streams to as many visitors at once as it may: try again in a moment."
	msgNoUpgrade = "This tunnel's backend carries no WebSockets: they need a relay."
	msgNoMethod  = "This tunnel's program does not understand requests with this method."
	msgNoAnswer  = "This tunnel's program sent an answer that makes no sense."
	msgTooLate   = "The service behind this tunnel did not answer in time."
	msgShortWait = "The service behind this tunnel did not answer within 5 seconds. Its backend runs in an account that allows few requests at once, and can wait no longer."
	msgStopped   = "The request was stopped before it was answered: try again."
	msgNoLookup  = "Tunnels cannot be looked up at the moment: try again in a moment."
	msgNoKeys    = "This tunnel's backend is not set up: its keys cannot be read."
	msgNoPost    = "This tunnel's program cannot be reached at the moment: try again in a moment."
)

// seconds is what Retry-After says.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(int((d+time.Second-1)/time.Second), 1))
}

// answer makes the visitor's answer of what has come.
func (x *exchange) answer() outcome {
	in := &x.in
	switch {
	case in.broken != nil:
		x.v.cfg.Log.Warn("answer of an agent is none", "error", in.broken)
		x.giveUp()
		return x.refused(refuse(http.StatusBadGateway, msgNoAnswer))
	case in.failure != nil:
		return x.refused(failure(in.failure))
	case in.window != nil && !in.answered():
		return outcome{stream: &event.Stream{Status: in.head.StatusCode, Header: x.answerHeader(), Body: newStreamBody(x)}}
	}
	body, err := x.answerBody()
	if err != nil {
		x.v.cfg.Log.Warn("answer of an agent is none", "error", err)
		return x.refused(refuse(http.StatusBadGateway, msgNoAnswer))
	}
	x.spent(len(body))
	a := &event.Answer{Status: in.head.StatusCode, Header: x.answerHeader(), Body: body}
	if x.req.Method == http.MethodHead {
		a.Head = true
		if length := in.head.Header["Content-Length"]; len(length) == 1 {
			a.Header["Content-Length"] = length // that of a GET
		}
	}
	return outcome{whole: a}
}

// failure is the visitor's view of an agent's error.
func failure(m *wire.ErrorMessage) *refusal {
	message := m.Message
	if message == "" {
		switch m.Code {
		case wire.CodeLocalUnavailable:
			message = "The service behind this tunnel is not running."
		case wire.CodeTimeout:
			message = msgTooLate
		case wire.CodeInvalidRequest:
			message = "Bad request."
		default:
			message = msgNoAnswer
		}
	}
	return refuse(m.Code.Reset().Status(), message)
}

// answerHeader is the header of the answer as the visitor gets it. An original agent
// does not know where it is seen; those of our own have mapped it themselves.
func (x *exchange) answerHeader() http.Header {
	h := x.in.head.Header
	if !x.in.declared && x.req.Prefix+x.route.prefix != "" {
		view := pathform.View{Prefix: x.req.Prefix + x.route.prefix, Scheme: x.header.Get("X-Forwarded-Proto"), Host: x.header.Get("X-Forwarded-Host")}
		view.MapHeader(h)
	}
	answer := make(http.Header, len(h))
	visitor.CopyAnswer(answer, h)
	return answer
}

// answerBody is the body of an answer that is there as a whole.
func (x *exchange) answerBody() ([]byte, error) {
	in := &x.in
	if in.head.Uploaded {
		return x.uploaded()
	}
	var body []byte
	if in.window != nil {
		for part, _, ok := in.window.pop(); ok; part, _, ok = in.window.pop() {
			body = append(body, part...)
		}
	} else {
		body, _ = in.parts.Whole()
	}
	if in.head.Encoding != wire.EncodingNone || in.head.More && in.window == nil {
		return wire.Unpack(in.head.Encoding, body, in.head.BodySize)
	}
	return body, nil
}

// uploaded reads a body that the agent has put where it was told to.
func (x *exchange) uploaded() ([]byte, error) {
	if head, ok := x.parts[0].(*wire.HTTPRequest); !ok || head.Upload == nil || x.in.head.BodySize > head.Upload.MaxBytes {
		return nil, fmt.Errorf("%w: a body was put where nobody has offered to take it", errNoAnswer)
	}
	ctx, cancel := context.WithDeadline(x.ctx, x.last.Add(reserve/2))
	defer cancel()
	body, err := x.v.cfg.Bodies.Answer(ctx, x.ticket.Key(), wire.MaxParts)
	if err != nil {
		return nil, err
	}
	if int64(len(body)) != x.in.head.BodySize {
		return nil, fmt.Errorf("%w: the body that was put has %d bytes, its head says %d", errNoAnswer, len(body), x.in.head.BodySize)
	}
	return body, nil
}
