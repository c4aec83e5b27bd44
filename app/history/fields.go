package history

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"culvert/app/exchange"
)

// The bounds of what is stored beside bodies, in bytes. What travels through a
// tunnel is shorter; what was read from a file need not be.
const (
	maxText   = 64 << 10
	maxHeader = 256 << 10
)

// What was kept of a body, as it stands in the database.
const (
	keptWhole = iota
	keptStart
	keptNothing
)

func kept(m *exchange.Message) int {
	switch {
	case m.Dropped:
		return keptNothing
	case m.Truncated:
		return keptStart
	}
	return keptWhole
}

// prepared is x as it is going to be stored: no longer than is allowed, and without
// secrets unless they are wanted. What is left out of bodies is so before secrets are
// looked for, which takes time in proportion.
func (h *History) prepared(x *exchange.Exchange, limits *Limits) *exchange.Exchange {
	c := *x
	for _, s := range []*string{
		&c.Tunnel, &c.Target, &c.URL, &c.RemoteAddr, &c.Method, &c.Path, &c.Host, &c.Upgrade, &c.Err, &c.Detail, &c.ReplayOf,
	} {
		*s = (*s)[:min(len(*s), maxText)]
	}
	h.cut(&c)
	c.Messages = lastMessages(x.Messages, h.cfg.MaxBody)
	c.Skipped += len(x.Messages) - len(c.Messages)
	if !limits.Secrets {
		r := h.cfg.redact(&c)
		if r != &c {
			h.cut(r) // what was compressed has become longer
		}
		return r
	}
	return &c
}

// cut shortens the bodies.
func (h *History) cut(x *exchange.Exchange) {
	for _, m := range []*exchange.Message{&x.Request, &x.Response} {
		if len(m.Body) > h.cfg.MaxBody {
			m.Body, m.Truncated = m.Body[:h.cfg.MaxBody], true
		}
	}
}

// lastMessages gives the youngest ones that take no more than most, but the last one
// in any case.
func lastMessages(all []exchange.StreamMessage, most int) []exchange.StreamMessage {
	from, bytes := len(all), int64(0)
	for from > 0 {
		bytes += exchange.MessageWeight(&all[from-1])
		if bytes > int64(most) {
			break
		}
		from--
	}
	if from < len(all) || from == 0 {
		return all[from:]
	}
	last := all[from-1]
	last.Name, last.LastID = last.Name[:min(len(last.Name), maxText)], last.LastID[:min(len(last.LastID), maxText)]
	if len(last.Data) > most {
		last.Data, last.Truncated = last.Data[:most], true
	}
	return []exchange.StreamMessage{last}
}

// encodeHeader writes fields as they stand in a message of HTTP/1.1 (RFC 9112, 5),
// which also a person with a database tool can read.
func encodeHeader(h http.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	var b bytes.Buffer
	_ = h.Write(&b) // makes line breaks in values spaces, and leaves out names that are none
	text := b.Bytes()
	if len(text) > maxHeader {
		text = text[:bytes.LastIndexByte(text[:maxHeader], '\n')+1]
	}
	return text
}

// decodeHeader reads what encodeHeader wrote. Names keep their case.
func decodeHeader(text []byte) http.Header {
	if len(text) == 0 {
		return nil
	}
	h := http.Header{}
	for line := range strings.SplitSeq(string(text), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h[name] = append(h[name], value)
		}
	}
	return h
}

// fromMicros is a time of the database.
func fromMicros(us int64) time.Time { return time.UnixMicro(us) }
