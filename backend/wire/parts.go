package wire

import (
	"slices"
)

// Cut leaves as much of the body in m as one message takes, and gives the rest in
// chunks, in order; nil if all of it fits. The body is the whole of it, as it
// travels, and decoded is its length before it was encoded. The chunks share its
// memory. An error wraps ErrTooLarge: the head, or the body, is over its bound.
func (m *HTTPRequest) Cut(decoded int64) ([]*Chunk, error) {
	head := *m
	head.Body, head.More, head.BodySize = nil, true, MaxParts
	first, rest, err := split(&head, m.Body, decoded)
	if err != nil {
		return nil, err
	}
	m.Body, m.More, m.BodySize = first, len(rest) > 0, 0
	if m.More || m.Encoding != EncodingNone {
		m.BodySize = decoded
	}
	return cut(m.RequestID, "", rest), nil
}

// Cut is like HTTPRequest.Cut. The chunks get the session token of m.
func (m *HTTPResponse) Cut(decoded int64) ([]*Chunk, error) {
	head := *m
	head.Body, head.More, head.BodySize = nil, true, MaxParts
	first, rest, err := split(&head, m.Body, decoded)
	if err != nil {
		return nil, err
	}
	m.Body, m.More, m.BodySize = first, len(rest) > 0, 0
	if m.More || m.Encoding != EncodingNone {
		m.BodySize = decoded
	}
	return cut(m.RequestID, m.Session, rest), nil
}

// split gives as much of body as fits the message that head is, without a body.
func split(head any, body []byte, decoded int64) (first, rest []byte, err error) {
	if len(body) > MaxParts || decoded > MaxParts {
		return nil, nil, tooLarge("a body's size in bytes", MaxParts)
	}
	text, err := Encode(head)
	if err != nil {
		return nil, nil, err
	}
	if len(text) > MaxPartMessage {
		return nil, nil, tooLarge("a head's size in bytes", MaxPartMessage)
	}
	n := min((MaxPartMessage-len(text))/4*3, len(body))
	return body[:n:n], body[n:], nil
}

func cut(requestID, session string, rest []byte) []*Chunk {
	var chunks []*Chunk
	for part := range slices.Chunk(rest, MaxPart) {
		chunks = append(chunks, &Chunk{RequestID: requestID, Seq: len(chunks) + 1, Body: part, Session: session})
	}
	if len(chunks) > 0 {
		chunks[len(chunks)-1].Last = true
	}
	return chunks
}

// maxPartCount bounds the parts of an assembly: several times as many as it takes
// to carry MaxParts bytes in full messages.
const maxPartCount = 1024

// Assembly puts the parts of a body together that is no stream. They may come in
// any order and more than once. The zero value is empty and ready.
type Assembly struct {
	parts map[int][]byte
	size  int
	end   int // number of parts; 0 while that is unknown
	next  int // above the highest number so far
}

// Add takes the part with number seq; last says that none is above it. Errors wrap
// ErrProtocol: too much, or what contradicts an earlier part. A repeated part is dropped.
func (a *Assembly) Add(seq int, body []byte, last bool) error {
	switch {
	case seq < 0:
		return protocolError("part %d", seq)
	case seq >= maxPartCount:
		return tooLarge("a part's number", maxPartCount-1)
	case a.end > 0 && seq >= a.end, last && (seq+1 < a.next || a.end > 0 && a.end != seq+1):
		return protocolError("part %d and the last part disagree", seq)
	}
	if _, twice := a.parts[seq]; twice && !last {
		return nil
	} else if !twice {
		if len(body) > MaxParts-a.size {
			return tooLarge("a body's size in bytes", MaxParts)
		}
		if a.parts == nil {
			a.parts = make(map[int][]byte)
		}
		a.parts[seq] = body
		a.size += len(body)
	}
	a.next = max(a.next, seq+1)
	if last {
		a.end = seq + 1
	}
	return nil
}

// Size is the number of bytes that have come.
func (a *Assembly) Size() int { return a.size }

// Whole gives the body once all of its parts are there.
func (a *Assembly) Whole() ([]byte, bool) {
	if a.end == 0 || len(a.parts) < a.end {
		return nil, false
	}
	if a.end == 1 {
		return a.parts[0], true
	}
	body := make([]byte, 0, a.size)
	for seq := range a.end {
		body = append(body, a.parts[seq]...)
	}
	return body, true
}

// Missing asks for what has not come; nil if nothing is missing.
func (a *Assembly) Missing(requestID string) *Resend {
	m := &Resend{RequestID: requestID}
	for seq := range max(a.next, a.end) {
		if _, there := a.parts[seq]; !there {
			if len(m.Seqs) == MaxWanted {
				return m // the rest another time
			}
			m.Seqs = append(m.Seqs, seq)
		}
	}
	if a.end == 0 {
		from := a.next
		m.From = &from
	} else if m.Seqs == nil {
		return nil
	}
	return m
}
