package waiter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
)

// bubble runs a test with time of its own.
func bubble(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newEnv(t)) })
}

func TestDialsInTheSecondRequestWithinAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		synctest.Wait()
		e.expect(0, 0) // nothing at init
		if got := e.request(); got != "" {
			t.Errorf("the first request names %q", got)
		}
		e.expect(0, 0)
		time.Sleep(DueWithin + time.Millisecond)
		e.request()
		e.expect(0, 0) // too rare to pay
		time.Sleep(DueWithin)
		if got := e.request(); got != "" {
			t.Errorf("the request that dials names %q", got)
		}
		e.expect(1, 1)
		if got := e.request(); got != "conn0=" {
			t.Errorf("the request after it names %q", got)
		}
		e.expect(1, 1)
		if n := e.counter.get("Dials"); n != 1 {
			t.Errorf("%v dials counted", n)
		}
	})
}

func TestWallClockSaysWhatIsDue(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.request()
		e.freeze(DueWithin + time.Second) // of which timers know nothing
		e.request()
		e.expect(0, 0)
	})
}

func TestDialOnlyWhenAsked(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.request()
		turn := e.Begin()
		synctest.Wait()
		e.expect(0, 0) // not ahead of the request
		turn.Sustain()
		synctest.Wait()
		e.expect(1, 1)
		turn.Sustain()
		synctest.Wait()
		e.expect(1, 1)
		turn.End()
	})
}

// A frozen connection is not named, however fresh it looks to timers: it proves
// itself while a request waits, and the next one may name it.
func TestThaw(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		e.freeze(ProvenFor + time.Second)
		if got := e.request(); got != "" {
			t.Errorf("after a freeze, %q is named unproven", got)
		}
		e.expect(1, 2)
		if got := e.request(); got != "conn0=" {
			t.Errorf("once proven again, %q is named", got)
		}
		e.expect(1, 2)
		e.freeze(ProvenFor)
		if got := e.request(); got != "conn0=" {
			t.Errorf("after just a minute, %q is named", got)
		}
	})
}

func TestClockSetBack(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		e.freeze(-time.Hour)
		if got := e.request(); got != "" {
			t.Errorf("%q is named though nobody knows how long ago it worked", got)
		}
	})
}

// What lay in the socket during a freeze proves nothing about now.
func TestOldFramesProveNothing(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		e.freeze(ProvenFor + time.Second)
		e.api.push(0, `{"type":"http_response","request_id":"of an earlier request"}`)
		if n := e.counter.get("StrayFrames"); n != 1 {
			t.Errorf("%v strays counted", n)
		}
		if got := e.request(); got != "" {
			t.Errorf("%q is named for a late answer", got)
		}
	})
	t.Run("whoami", func(t *testing.T) {
		bubble(t, func(t *testing.T, e *env) {
			e.api.set(func() { e.api.answer = func(*fakeConn) string { return "" } })
			e.request()
			e.request()
			e.expect(1, 1)
			e.freeze(askTimeout - time.Second)
			e.api.push(0, `{"connectionId":"conn0="}`) // which was asked 9 s ago
			e.freeze(ProvenFor - askTimeout + 2*time.Second)
			if got := e.request(); got != "" {
				t.Errorf("%q is named for an old proof", got)
			}
		})
	})
}

func TestAnswersProve(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		for range 20 {
			time.Sleep(50 * time.Second)
			turn := e.Begin()
			if got := turn.Connection(); got != "conn0=" {
				t.Fatalf("%q is named", got)
			}
			turn.Expect("r7")
			turn.Sustain()
			e.api.push(0, `{"type":"http_response","request_id":"r7"}`)
			<-turn.Arrived()
			if got := turn.Next(); !strings.Contains(string(got), "r7") {
				t.Fatalf("got %q", got)
			}
			turn.End()
		}
		e.expect(1, 1) // no question in 16 minutes
	})
}

func TestKilledWhileFrozen(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		e.api.conn(0).ws.NetConn().Close()
		synctest.Wait()
		e.freeze(10 * time.Second)
		if got := e.request(); got != "" {
			t.Errorf("%q is named", got)
		}
		e.expect(2, 2)
		if got := e.request(); got != "conn1=" {
			t.Errorf("%q is named", got)
		}
		if n := e.counter.get("DialFailures"); n != 0 {
			t.Errorf("%v failures counted: a connection that had worked may end", n)
		}
	})
}

func TestGoneWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		turn := e.Begin()
		turn.Connection()
		turn.Expect("r")
		e.api.push(0, `{"request_id":"r","n":1}`)
		e.api.conn(0).ws.NetConn().Close()
		<-turn.Gone()
		if turn.Next() == nil || turn.Next() != nil {
			t.Error("what came before the end is lost")
		}
		turn.End()
	})
}

func TestDeadAndSilent(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		e.api.set(func() { e.api.answer = func(*fakeConn) string { return "" } })
		e.freeze(ProvenFor + time.Second)
		e.request()
		e.expect(1, 2)
		time.Sleep(askTimeout)
		e.request()
		e.expect(1, 2) // it has its time to answer
		time.Sleep(time.Second)
		e.api.set(func() { e.api.answer = func(c *fakeConn) string { return `{"connectionId":"` + c.id + `"}` } })
		e.request()
		e.expect(1, 2) // given up, and no dial for a moment
		if n := e.counter.get("DialFailures"); n != 1 {
			t.Errorf("%v failures counted", n)
		}
		time.Sleep(shortestPause)
		e.request()
		e.expect(2, 3)
		if got := e.request(); got != "conn1=" {
			t.Errorf("%q is named", got)
		}
	})
}

func TestIdleLimit(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		e.freeze(idleLimit)
		e.request()
		e.expect(1, 1) // closed by API Gateway for sure: no use in asking
		e.request()
		e.expect(2, 2)
		if n := e.counter.get("DialFailures"); n != 0 {
			t.Errorf("%v failures counted", n)
		}
	})
}

func TestBackOff(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.api.set(func() { e.api.refuse = 403 })
		e.request()
		e.request()
		e.expect(1, 0)
		pause, dials := shortestPause, 1
		for range 12 {
			start := time.Now()
			for time.Since(start) < pause/2-time.Second/2 {
				if e.request() != "" {
					t.Fatal("named")
				}
				time.Sleep(pause / 16)
			}
			e.expect(dials, 0) // not before half of the pause
			for time.Since(start) < pause+pause/8 {
				time.Sleep(min(pause/32, 20*time.Second))
				e.request()
				if d, _ := e.api.counts(); d > dials {
					break
				}
			}
			dials++
			e.expect(dials, 0)
			pause = min(2*pause, longestPause)
		}
		if n := e.counter.get("DialFailures"); n != float64(dials) {
			t.Errorf("%v failures counted of %d", n, dials)
		}
		if !strings.Contains(e.log.String(), "403") || strings.Contains(e.log.String(), identity.SecretAccessKey) || strings.Contains(e.log.String(), identity.SessionToken) {
			t.Errorf("log: %s", e.log)
		}
		// It begins anew after a success.
		e.api.set(func() { e.api.refuse = 0 })
		for range 40 {
			time.Sleep(10 * time.Second)
			e.request()
		}
		if got := e.request(); got == "" {
			t.Error("never connected again")
		}
	})
}

func TestDialThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.api.set(func() { e.api.hang = true })
		e.request()
		e.request()
		e.expect(1, 0)
		// Frozen while it dials: its timer stands still, the wall clock does not.
		e.freeze(staleDial + time.Second)
		e.request()
		e.expect(1, 0)
		if n := e.counter.get("DialFailures"); n != 1 {
			t.Errorf("%v failures counted", n)
		}
		e.api.set(func() { e.api.hang = false })
		time.Sleep(shortestPause)
		e.request()
		e.expect(2, 1)
	})
}

func TestWhoamiFails(t *testing.T) {
	for _, answer := range []string{
		`{"message":"Forbidden","connectionId":"conn0=","requestId":"x="}`,
		`{"connectionId":"../../other"}`,
		`{"connectionId":"` + strings.Repeat("a", maxConnectionID+1) + `"}`,
	} {
		t.Run(answer[:20], func(t *testing.T) {
			bubble(t, func(t *testing.T, e *env) {
				e.api.set(func() { e.api.answer = func(*fakeConn) string { return answer } })
				e.request()
				e.request()
				if got := e.request(); got != "" {
					t.Errorf("%q is named", got)
				}
				if n := e.counter.get("DialFailures"); n != 1 {
					t.Errorf("%v failures counted", n)
				}
			})
		})
	}
}

// A connection is replaced before API Gateway cuts it at two hours, and what was
// posted to the old one still arrives.
func TestRedial(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		start := time.Now()
		var old *Turn
		for time.Since(start) < RedialAfter+5*time.Minute {
			time.Sleep(50 * time.Second)
			turn := e.Begin()
			named := turn.Connection()
			if named == "" {
				t.Fatalf("nothing is named after %v", time.Since(start))
			}
			turn.Expect("r")
			turn.Sustain()
			synctest.Wait()
			i := 0
			if named == "conn1=" {
				i = 1
			} else {
				old = turn
			}
			e.api.push(i, `{"request_id":"r"}`)
			if turn.Next() == nil {
				t.Fatalf("an answer to %s is lost", named)
			}
			turn.End()
		}
		if got := e.request(); got != "conn1=" {
			t.Errorf("%q is named", got)
		}
		e.expect(2, 2)
		synctest.Wait()
		select {
		case <-old.named.gone:
		default:
			t.Error("the old connection is still open")
		}
	})
}

func TestOneOutstandingID(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		turn := e.Begin()
		other := e.Begin()
		if got := other.Connection(); got != "" {
			t.Errorf("a second request at the same time names %q", got)
		}
		turn.Connection()
		turn.Expect("first")
		turn.Expect("second")
		for _, text := range []string{
			`{"request_id":"first"}`, `{"request_id":""}`, `{"request_id":7}`, `not JSON`, `[]`, `{}`,
			`{"message":"Endpoint request timed out","connectionId":"conn0=","requestId":"x"}`, `{"connectionId":"conn9="}`,
		} {
			e.api.push(0, text)
			if got := turn.Next(); got != nil {
				t.Errorf("took %q", got)
			}
		}
		if n := e.counter.get("StrayFrames"); n != 8 {
			t.Errorf("%v strays counted", n)
		}
		e.api.push(0, `{"request_id":"second"}`)
		if turn.Next() == nil {
			t.Error("did not take its own")
		}
		other.End()
		turn.End()
		e.api.push(0, `{"request_id":"second"}`)
		if n := e.counter.get("StrayFrames"); n != 9 {
			t.Errorf("%v strays counted after the end", n)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		turn := e.Begin()
		turn.Connection()
		turn.Expect("r")
		for range maxQueue + 10 {
			e.api.push(0, `{"request_id":"r"}`)
		}
		n := 0
		for turn.Next() != nil {
			n++
		}
		if n != maxQueue || e.counter.get("StrayFrames") != 10 {
			t.Errorf("kept %d, dropped %v", n, e.counter.get("StrayFrames"))
		}
		big := `{"request_id":"r","body":"` + strings.Repeat("x", 100<<10) + `"}`
		for range maxQueued/len(big) + 10 {
			e.api.push(0, big)
		}
		size := 0
		for text := turn.Next(); text != nil; text = turn.Next() {
			size += len(text)
		}
		if size > maxQueued || size < maxQueued-len(big) {
			t.Errorf("kept %d bytes", size)
		}
		turn.End()
	})
}

// A connection in use is not left to API Gateway's idle limit.
func TestTouch(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		turn := e.Begin()
		turn.Connection()
		turn.Expect("r")
		for range 15 {
			turn.Sustain()
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		e.expect(1, 1+3) // after 4, 8 and 12 minutes
		select {
		case <-turn.Gone():
			t.Error("the connection was given up")
		default:
		}
		turn.End()
	})
}

// A connection over which an answer got lost is named again only after it has shown
// that it works.
func TestDoubt(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.proven()
		turn := e.Begin()
		if turn.Connection() == "" {
			t.Fatal("a proven connection is not named")
		}
		turn.Doubt()
		turn.End()

		turn = e.Begin()
		if turn.Connection() != "" {
			t.Error("a doubtful connection is named")
		}
		turn.Sustain() // asks it
		synctest.Wait()
		turn.End()

		turn = e.Begin()
		if turn.Connection() == "" {
			t.Error("it has answered, and is not named")
		}
		turn.End()
	})
}

func TestDisabled(t *testing.T) {
	t.Parallel()
	log := newDiscard()
	w, err := New(Config{Counter: &counter{}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		turn := w.Begin()
		turn.Sustain()
		if turn.Connection() != "" || turn.Gone() != nil || turn.Next() != nil {
			t.Error("something comes out of nothing")
		}
		turn.End()
	}
	w.Close()
}

func TestNew(t *testing.T) {
	t.Parallel()
	provider := credentials.StaticCredentialsProvider{Value: identity}
	for _, c := range []struct {
		name string
		cfg  Config
	}{
		{"no counter", Config{Log: newDiscard()}},
		{"no log", Config{Counter: &counter{}}},
		{"https", Config{Counter: &counter{}, Log: newDiscard(), URL: "https://x/live", Region: "eu-west-1", Credentials: provider}},
		{"a query", Config{Counter: &counter{}, Log: newDiscard(), URL: "wss://x/live?token=1", Region: "eu-west-1", Credentials: provider}},
		{"no credentials", Config{Counter: &counter{}, Log: newDiscard(), URL: "wss://x/live", Region: "eu-west-1"}},
		{"no region", Config{Counter: &counter{}, Log: newDiscard(), URL: "wss://x/live", Credentials: provider}},
	} {
		if _, err := New(c.cfg); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

func TestCloseWhileDialling(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		e.api.set(func() { e.api.hang = true })
		e.request()
		turn := e.Begin()
		turn.Sustain()
		synctest.Wait()
		e.Close() // returns, and leaves nothing behind
		turn.Sustain()
		turn.End()
		e.expect(1, 0)
	})
}
