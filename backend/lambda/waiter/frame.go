package waiter

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// maxConnectionID bounds a connection ID in bytes; API Gateway's have 16.
const maxConnectionID = 64

// frame is what matters here of a message. It is an agent's message about a request,
// posted on verbatim; or the answer to whoami; or an error of API Gateway's own,
// which has a message and may have a connectionId, too.
type frame struct {
	RequestID    string `json:"request_id"`
	ConnectionID string `json:"connectionId"`
	Message      string `json:"message"`
	Gateway      string `json:"requestId"`
}

// lookWithin is how far the request ID is looked for before a frame is parsed: in what
// agents send it stands in front of header and body.
const lookWithin = 4 << 10

// take acts on a frame. w.mu is held.
func (w *Waiter) take(c *conn, text []byte) {
	now := w.cfg.Now()
	c.active = now
	if c.state == over {
		return // given up; what was still read of it counts no more
	}
	wanted, id := w.wanted(c, text)
	if !wanted {
		w.stray(c, text)
		return
	}
	f := frame{RequestID: id}
	if id == "" && json.Unmarshal(text, &f) != nil {
		w.stray(c, text)
		return
	}
	switch {
	case f.RequestID != "":
		if !w.turn.takes(f.RequestID, text) {
			// A late answer, or a forged one. It may have lain here since before a freeze:
			// so it proves nothing, either.
			w.stray(c, text)
			return
		}
		// Nobody knew this ID before the turn, so that the connection works now.
		c.proven = now
	case f.ConnectionID != "" && f.Message == "" && f.Gateway == "":
		w.takeName(c, text, f.ConnectionID)
	case f.Message != "" && c.state == asking:
		w.drop(c)
		w.failed(errors.New("the waiters' API does not answer whoami: " + firstOf(f.Message)))
	default:
		w.stray(c, text)
	}
}

// wanted is false if a frame can be dropped. id is the request that it is about by its
// beginning; "" if all of it has to be parsed to know, which takes long on the little
// processor time that the function has. What is behind the beginning, who waits reads
// for himself. w.mu is held.
func (w *Waiter) wanted(c *conn, text []byte) (wanted bool, id string) {
	waits := w.turn != nil && w.turn.id != ""
	if !waits && c.state == known && c.asked.IsZero() {
		return false, ""
	}
	id, found := requestIDOf(text)
	if !found {
		return true, ""
	}
	return waits && id == w.turn.id, id
}

// requestIDOf finds the first member request_id near the beginning of a message.
func requestIDOf(text []byte) (id string, found bool) {
	d := json.NewDecoder(bytes.NewReader(text[:min(len(text), lookWithin)]))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", false
		}
		if name == "request_id" {
			return id, json.Unmarshal(value, &id) == nil && id != ""
		}
	}
	return "", false
}

// takeName takes the answer to whoami. w.mu is held.
func (w *Waiter) takeName(c *conn, text []byte, id string) {
	asked := c.asked
	switch {
	case asked.IsZero():
		w.stray(c, text)
		return
	case !validConnectionID(id) || c.id != "" && c.id != id:
		w.drop(c)
		w.failed(errors.New("the answer to whoami is no connection ID"))
		return
	}
	c.asked, c.id, c.state = time.Time{}, id, known
	// The answer may have lain here since before a freeze: it proves that the
	// connection worked after the question, not that it works now.
	c.proven = asked
	if w.next == c {
		w.promote(c)
	}
}

// promote makes c the connection that turns name. w.mu is held.
func (w *Waiter) promote(c *conn) {
	old := w.current
	w.current, w.next = c, nil
	w.failures = 0
	if old != nil && (w.turn == nil || w.turn.named != old) {
		w.drop(old)
	}
}

// stray counts a frame that nobody waits for, and gives the connection up that has too
// many. w.mu is held.
func (w *Waiter) stray(c *conn, text []byte) {
	w.cfg.Counter.Count("StrayFrames", 1)
	if now := w.cfg.Now(); since(now, c.strayFrom) > strayWindow {
		c.strayFrom, c.strays, c.strayed = now, 0, 0
	}
	c.strays++
	c.strayed += len(text)
	if c.strays > maxStrays || c.strayed > maxStrayed {
		w.flooded(c)
	}
}

// validConnectionID wants what may stand in a URL's path after escaping, and no more:
// letters, digits, and what base64 adds.
func validConnectionID(id string) bool {
	if len(id) > maxConnectionID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '=', c == '-', c == '_', c == '+', c == '/':
		default:
			return false
		}
	}
	return id != ""
}

// firstOf bounds a text of API Gateway for the log.
func firstOf(s string) string { return s[:min(len(s), 80)] }
