package engine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"sync"

	"culvert/backend/wire"
)

// probeHeader marks a visit that is only meant to see whether visitors would arrive,
// and the answer to it. The local service never gets to see such a visit.
const probeHeader = "Culvert-Probe"

// questions are what the visits of one tunnel ask. Each visit has a question of its own,
// and only this tunnel can answer it, once, while the visit is under way: whoever has
// seen one visit pass, as every backend does, cannot feign the next.
type questions struct {
	key [sha256.Size]byte // this tunnel's alone

	mu   sync.Mutex
	last string // the newest
	open bool   // it is under way, and not answered
}

func newQuestions() *questions {
	q := &questions{}
	rand.Read(q.key[:]) // which does not fail
	return q
}

// ask gives the question of a visit, which is under way until done is called. There is
// one visit at a time: the next question ends the one before.
func (q *questions) ask() (question string, done func()) {
	question = rand.Text()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last, q.open = question, true
	return question, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.last == question {
			q.open = false
		}
	}
}

// answer is what a visitor gets to hear who asks this.
func (q *questions) answer(question string) string {
	mac := hmac.New(sha256.New, q.key[:])
	mac.Write([]byte(question))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// answers reports whether what was shown is the answer to the question.
func (q *questions) answers(question, shown string) bool {
	return subtle.ConstantTimeCompare([]byte(shown), []byte(q.answer(question))) == 1
}

// take reports whether this is a visit of this process, and whether it is to be answered:
// one that comes late, or again, is not.
func (q *questions) take(question string) (known, answer bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last == "" || subtle.ConstantTimeCompare([]byte(question), []byte(q.last)) != 1 {
		return false, false
	}
	answer = q.open
	q.open = false
	return true, answer
}

// reply answers x if it is a visit of this process, and reports whether it was.
func (q *questions) reply(x wire.Exchange) bool {
	values := x.Request().Header[probeHeader]
	if len(values) != 1 {
		return false
	}
	known, answer := q.take(values[0])
	if !known {
		return false
	}
	header := http.Header{"Cache-Control": {"no-store"}}
	if answer {
		header.Set(probeHeader, q.answer(values[0]))
	}
	err := x.WriteHead(&wire.ResponseHead{Status: http.StatusNoContent, ContentLength: -1, Header: header}, true)
	if err != nil {
		x.Reset(wire.ResetCancel, "the probe has left")
	}
	return true
}
