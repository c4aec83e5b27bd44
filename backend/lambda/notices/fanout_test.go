package notices

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

// One message for each connection of the user, with one ID and time.
func TestFanOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("user:ann", "a1", "a2")
	w.connect("key:x", "k1")
	w.users["user:ann"] = append(w.users["user:ann"], store.UserConnection{Connection: "a3", Tunnel: "shop"}) // knows no notices
	failed := w.handle(usersARN, `{"userId":"ann","data":{"text":"hush <b>"}}`, `{"userId":"key:x","data":1,"id":"mine","time":5}`, `{"userId":"nobody","data":1}`)
	w.wants("fan-out", failed)
	want := [][]string{{
		`{"connectionId":"a1","userId":"ann","data":{"text":"hush <b>"},"id":"m0","time":1772366400005}`,
		`{"connectionId":"a2","userId":"ann","data":{"text":"hush <b>"},"id":"m0","time":1772366400005}`,
		`{"connectionId":"k1","userId":"key:x","data":1,"id":"mine","time":5}`,
	}}
	if diff := cmp.Diff(want, w.sends); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"user:ann", "key:x", "user:nobody"}, w.looked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w.counts[countDropped] != 1 || len(w.posted) > 0 {
		t.Errorf("%v, %q", w.counts, w.posted)
	}
}

// Many connections take several calls, of ten messages and a size that SQS takes; a
// user is looked up once, and everything goes in the order in which it came.
func TestFanOutInCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("user:ann", ids("a", 25)...)
	w.connect("user:bob", "b0")
	w.wants("many", w.handle(usersARN, `{"userId":"ann","data":1}`, `{"userId":"bob","data":1}`, `{"userId":"ann","data":2}`))
	sizes := []int{}
	for _, call := range w.sends {
		sizes = append(sizes, len(call))
	}
	if diff := cmp.Diff([]int{10, 10, 10, 10, 10, 1}, sizes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := append(append(ids("a", 25), "b0"), ids("a", 25)...)
	if diff := cmp.Diff(want, w.addressed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(w.looked) != 2 {
		t.Errorf("looked up %q", w.looked)
	}

	w = newWorld(t)
	w.connect("user:ann", ids("a", 12)...)
	w.wants("large", w.handle(usersARN, `{"userId":"ann","data":"`+strings.Repeat("<", wire.MaxNotice-2)+`"}`))
	if diff := cmp.Diff(ids("a", 12), w.addressed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, call := range w.sends {
		if size := len(strings.Join(call, "")); size > 256<<10 {
			t.Errorf("%d bytes at once", size)
		}
	}
}

// However many connections a user has, all of them get it.
func TestFanOutInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("user:ann", ids("a", 2*pageSize+3)...)
	w.connect("user:bob", "b0")
	const ann, bob = `{"userId":"ann","data":1}`, `{"userId":"bob","data":1}`
	w.wants("pages", w.handle(usersARN, ann, bob, ann, bob))
	once := append(ids("a", 2*pageSize+3), "b0")
	if diff := cmp.Diff(append(once, once...), w.addressed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What fits no page is not kept.
	if diff := cmp.Diff([]string{"user:ann", "user:bob", "user:ann"}, w.looked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Whose list cannot be read to its end, to him it goes again.
	w = newWorld(t)
	w.connect("user:ann", ids("a", 2*pageSize)...)
	w.pageErr = errors.New("no table")
	w.wants("half", w.handle(usersARN, ann), "m0")
	if got := w.causes()["m0"]; !strings.Contains(got, "no table") || len(w.addressed()) != pageSize {
		t.Errorf("%q, %d sent", got, len(w.addressed()))
	}
}

// What the queue does not take is sent once more; then the message comes again as a
// whole, with the same IDs. Messages beside it are done.
func TestFanOutThatFailsInPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect("user:ann", ids("a", 12)...)
		w.connect("user:bob", "b0")
		w.send = func(n, _ int, body string) error {
			if strings.Contains(body, `"a3"`) || n == 0 && strings.Contains(body, `"a5"`) || strings.Contains(body, `"a11"`) && n == 2 {
				return errors.New("ServiceUnavailable")
			}
			return nil
		}
		bodies := []string{`{"userId":"ann","data":"hush"}`, `{"userId":"bob","data":"hush"}`}
		// a3 never gets in; a5 does the second time. That a11 does, too, is no reason
		// to forget a3.
		w.wants("in part", w.handle(usersARN, bodies...), "m0")
		if diff := cmp.Diff([]int{10, 2, 3, 1}, []int{len(w.sends[0]), len(w.sends[1]), len(w.sends[2]), len(w.sends[3])}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := w.causes()["m0"]; !strings.Contains(got, "ServiceUnavailable") {
			t.Errorf("cause %q", got)
		}
		first := w.sends[0]
		w.send, w.sends = nil, nil
		w.log.Reset()
		clear(w.counts)
		w.wants("again", w.handle(usersARN, bodies[0]))
		if diff := cmp.Diff(first, w.sends[0]); diff != "" {
			t.Errorf("the second time, other messages (-first +second):\n%s", diff)
		}
	})
}

// What a queue refuses a whole call for fails alone, however many calls it was in.
func TestFanOutOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect("user:ann", ids("a", 2)...)
		w.connect("user:bob", ids("b", 15)...)
		taken := map[string]int{}
		w.send = func(n, i int, body string) error {
			for _, beside := range w.sends[n] {
				if strings.Contains(beside, "hush") {
					return fmt.Errorf("%w: status 400", errRefused)
				}
			}
			taken[body]++
			return nil
		}
		const good, bad = `{"userId":"bob","data":1}`, `{"userId":"ann","data":"hush"}`
		w.wants("refused", w.handle(usersARN, good, bad, good, bad, good), "m1", "m3")
		if len(taken) != 3*15 {
			t.Errorf("%d notices got through:\n%v", len(taken), taken)
		}
		for body, n := range taken {
			if n != 1 {
				t.Errorf("%d times: %s", n, body)
			}
		}
		if got := w.causes()["m1"]; !strings.Contains(got, "SQS refuses the call: status 400") {
			t.Errorf("cause %q", got)
		}
	})
}

func TestFanOutThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect("user:ann", "a")
		w.storeErr = errors.New("no table")
		w.wants("no table", w.handle(usersARN, `{"userId":"ann","data":1}`, `hush`), "m0", "m1")
		if got := w.causes(); len(w.sends) > 0 || !strings.Contains(got["m0"], "no table") || !strings.Contains(got["m1"], "no JSON object") {
			t.Errorf("%q, %q", w.sends, got)
		}

		w = newWorld(t)
		w.connect("user:ann", "a")
		w.send = func(int, int, string) error { panic("out of luck") }
		w.wants("panic", w.handle(usersARN, `{"userId":"ann","data":1}`, `{"userId":"nobody","data":1}`), "m0", "m1")

		// Too large for anybody, and in nobody's way.
		w = newWorld(t)
		w.connect("user:ann", "a")
		w.wants("too large", w.handle(usersARN, `{"userId":"ann","data":"`+strings.Repeat("hush", wire.MaxNotice/4)+`"}`, `{"userId":"ann","data":1}`), "m0")
		if len(w.addressed()) != 1 {
			t.Errorf("%q", w.addressed())
		}
	})
}

// There is time to report what was not reached.
func TestFanOutWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect("user:ann", ids("a", 10)...)
		w.connect("user:bob", ids("b", 10)...)
		w.send = func(_, i int, _ string) error {
			if i == 0 {
				time.Sleep(3 * time.Second)
			}
			return nil
		}
		ctx, start := within(t, 5*time.Second), time.Now()
		failed := w.notices().Handle(ctx, batch(usersARN, `{"userId":"ann","data":1}`, `{"userId":"bob","data":1}`, `{"userId":"ann","data":2}`))
		// The second call returns after the limit: it was sent, and so was reached.
		w.wants("no time", failed, "m2")
		if time.Since(start) > 7*time.Second || !strings.Contains(w.causes()["m2"], "no time left") {
			t.Errorf("after %v: %q", time.Since(start), w.causes())
		}
	})
}
