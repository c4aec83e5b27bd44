package waiter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const late = `{"type":"http_response","request_id":"of an earlier request"}`

// flood posts what nobody waits for until the connection is given up, and says how
// much that took.
func (e *env) flood(i int, text string) int {
	e.t.Helper()
	for n := 1; n <= 10*maxStrays; n++ {
		e.api.push(i, text)
		select {
		case <-e.api.conn(i).gone:
			return n
		default:
		}
	}
	e.t.Fatal("a flood is let go on")
	return 0
}

// An agent whose request is over does not keep the environment from serving others:
// its messages have nowhere to go any more.
func TestFloodOfStrays(t *testing.T) {
	large := strings.Replace(late, "}", `,"body":"`+strings.Repeat("x", 120<<10)+`"}`, 1)
	for name, c := range map[string]struct {
		text string
		most int
	}{
		"many":  {late, maxStrays + 1},
		"large": {large, maxStrayed/len(large) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, e *env) {
				e.proven()
				turn := e.Begin()
				if turn.Connection() != "conn0=" {
					t.Fatal("not named")
				}
				turn.Expect("r")
				if n := e.flood(0, c.text); n != c.most {
					t.Errorf("given up after %d, want %d", n, c.most)
				}
				<-turn.Gone() // so that whoever waits looks in the store
				turn.Sustain()
				synctest.Wait()
				turn.End()
				e.expect(1, 1) // not at once
				time.Sleep(shortestPause)
				e.request()
				if got := e.request(); got != "conn1=" {
					t.Errorf("%q is named", got)
				}
				if e.counter.get("DialFailures") != 0 {
					t.Error("counted as a failure to connect")
				}
			})
		})
	}
}

// Each flood soon after another has to wait longer for the next connection.
func TestFloodsBackOff(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		for i := range 6 {
			e.flood(i, late)
			given := time.Now()
			for e.request() == "" {
				time.Sleep(100 * time.Millisecond)
			}
			pause := min(shortestPause<<i, longestPause)
			if took := time.Since(given); took < pause/2 || took > pause+time.Second {
				t.Errorf("flood %d: connected again after %v", i, took)
			}
		}
		for start := time.Now(); time.Since(start) < calmAfter; {
			time.Sleep(50 * time.Second)
			e.request()
		}
		e.flood(6, late)
		given := time.Now()
		for e.request() == "" {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(given); took > shortestPause+time.Second {
			t.Errorf("after a calm time, connected again after %v", took)
		}
	})
}

// The largest answer may be late, again and again.
func TestLateAnswersAreNoFlood(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		part := strings.Replace(late, "}", `,"body":"`+strings.Repeat("x", 125<<10)+`"}`, 1)
		for range 5 {
			for range 65 {
				e.api.push(0, part)
			}
			time.Sleep(strayWindow + time.Second)
		}
		e.request()
		if got := e.request(); got != "conn0=" {
			t.Errorf("%q is named", got)
		}
		e.expect(1, 1)
	})
}

// What is another request's by its beginning is read no further.
func TestBoundedLook(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		turn := e.Begin()
		turn.Connection()
		turn.Expect("r")
		e.api.push(0, `{"request_id":"another","n":1,"request_id":"r"}`)
		if turn.Next() != nil {
			t.Error("read to its end")
		}
		// Members may come in any order.
		for _, text := range []string{
			`{"header":{"request_id":"another"},"request_id":"r"}`,
			`{"body":"` + strings.Repeat("x", 2*lookWithin) + `","request_id":"r"}`,
		} {
			e.api.push(0, text)
			if turn.Next() == nil {
				t.Errorf("not taken: %.60s", text)
			}
		}
		turn.End()
	})
}
