package notices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

func to(connection string, data int) string {
	return fmt.Sprintf(`{"connectionId":%q,"data":%d,"id":"n%d"}`, connection, data, data)
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("user:ann", "a")
	w.connect("", "client")
	w.conns["agent"] = &store.Connection{ID: "agent", Tunnel: "shop", Declared: true, Capabilities: []wire.Capability{wire.CapNotices}}
	w.conns["old"] = &store.Connection{ID: "old", Tunnel: "old"}
	w.conns["expired"] = &store.Connection{ID: "expired", Identity: auth.Identity{Subject: "ann", Expires: time.Now().Add(-time.Minute)}}
	w.conns["expiring"] = &store.Connection{ID: "expiring", Identity: auth.Identity{Subject: "ann", Expires: time.Now().Add(-time.Second)}}
	w.conns["stranger"] = &store.Connection{ID: "stranger", Pending: true}
	failed := w.handle(connsARN, to("a", 1), to("client", 2), to("agent", 3), to("old", 4), to("stranger", 5), to("nobody", 6), to("expired", 7), to("expiring", 8), `{"connectionId":"a","data":"x"}`)
	w.wants("deliver", failed)
	want := map[string]bool{
		"a n1 1 1772366400005": true, "client n2 2 1772366400005": true, "agent n3 3 1772366400005": true, `a m8 "x" 1772366400005`: true, "expiring n8 8 1772366400005": true,
	}
	got := map[string]bool{}
	for _, p := range w.posted {
		got[p] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w.counts[countPosted] != 5 || w.counts[countDropped] != 4 || len(w.forgot) > 0 || len(w.sends) > 0 {
		t.Errorf("%v, forgot %q", w.counts, w.forgot)
	}
}

// What becomes of notices for one connection: which fail, which are posted.
func TestDeliveryThatFails(t *testing.T) {
	t.Parallel()
	all := func(err error) func(context.Context, string, int) error {
		return func(context.Context, string, int) error { return err }
	}
	first := func(err error) func(context.Context, string, int) error {
		return func(_ context.Context, _ string, n int) error {
			if n == 0 {
				return err
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		post    func(context.Context, string, int) error
		posts   int
		failed  []string
		causes  map[string]string
		dropped float64
		forgot  int
		after   time.Duration
	}{
		"it has gone":       {all(post.ErrGone), 1, nil, nil, 3, 1, 0},
		"it goes meanwhile": {func(_ context.Context, _ string, n int) error { return []error{nil, post.ErrGone}[n] }, 2, nil, nil, 2, 1, 0},
		"busy for a moment": {first(post.ErrBusy), 4, nil, nil, 0, 0, 200 * time.Millisecond},
		"busy":              {all(post.ErrBusy), 3, []string{"m0", "m1", "m2"}, map[string]string{"m0": "takes no more messages", "m1": "the one before it"}, 0, 0, 1200 * time.Millisecond},
		"no answer at once": {first(post.ErrUnavailable), 4, nil, nil, 0, 0, 200 * time.Millisecond},
		"no answer":         {all(fmt.Errorf("%w: 500", post.ErrUnavailable)), 3, []string{"m0", "m1", "m2"}, map[string]string{"m0": "could not be reached"}, 0, 0, 1200 * time.Millisecond},
		"too large":         {first(post.ErrTooLarge), 3, []string{"m0"}, map[string]string{"m0": "over API Gateway's limit"}, 0, 0, 0},
		"not allowed":       {all(post.ErrForbidden), 1, []string{"m0", "m1", "m2"}, map[string]string{"m0": "not allowed"}, 0, 0, 0},
		"panic":             {func(context.Context, string, int) error { panic("out of luck") }, 1, []string{"m0", "m1", "m2"}, map[string]string{"m2": "out of luck"}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.connect("user:ann", "a")
				w.post = c.post
				start := time.Now()
				w.wants(name, w.handle(connsARN, to("a", 0), to("a", 1), to("a", 2)), c.failed...)
				if len(w.posted) != c.posts || w.counts[countDropped] != c.dropped || len(w.forgot) != c.forgot || time.Since(start) != c.after {
					t.Errorf("%d posts, %v, forgot %q after %v", len(w.posted), w.counts, w.forgot, time.Since(start))
				}
				causes := w.causes()
				for id, says := range c.causes {
					if !strings.Contains(causes[id], says) {
						t.Errorf("%s: %q, want %q", id, causes[id], says)
					}
				}
				if posted := float64(c.posts); len(c.failed) == 0 && c.dropped == 0 && c.after == 0 && w.counts[countPosted] != posted {
					t.Errorf("%v", w.counts)
				}
			})
		})
	}
}

// What is revoked lies in the table of connections, and is none.
func TestRevocationsAreNoConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("", "revoked#user#ann", "revoked#id#1")
	w.post = func(context.Context, string, int) error { return post.ErrGone }
	w.wants("revoked", w.handle(connsARN, to("revoked#user#ann", 0), to("revoked#id#1", 1)), "m0", "m1")
	if len(w.looked)+len(w.posted)+len(w.forgot) > 0 {
		t.Errorf("looked up %q, posted %q, forgot %q", w.looked, w.posted, w.forgot)
	}
}

// Who is on a user's list and nowhere else is taken off it, or each notice would be sent
// to it.
func TestConnectionsThatAreOnlyListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users["user:ann"] = []store.UserConnection{{Connection: "a", Notices: true}}
	w.wants("fan-out", w.handle(usersARN, `{"userId":"ann","data":1}`, `{"userId":"ann","data":2}`))
	w.wants("deliver", w.handle(connsARN, append(w.sends[0], to("a", 3), `{"connectionId":"b","userId":7,"data":1}`)...))
	if diff := cmp.Diff([]string{"user:ann a"}, w.forgot); diff != "" || w.counts[countDropped] != 4 {
		t.Errorf("%v, forgot (-want +got):\n%s", w.counts, diff)
	}
	// One that has gone, too, whoever it is noted to be.
	w = newWorld(t)
	w.connect("user:ann", "a")
	w.post = func(context.Context, string, int) error { return post.ErrGone }
	w.wants("gone", w.handle(connsARN, `{"connectionId":"a","userId":"key:x","data":1}`, to("a", 1)))
	if diff := cmp.Diff([]string{"key:x a", "a"}, w.forgot); diff != "" || len(w.posted) != 1 {
		t.Errorf("forgot (-want +got):\n%s", diff)
	}
}

func TestDeliveryWithoutTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("user:ann", "a")
	w.storeErr = errors.New("no table")
	w.wants("no table", w.handle(connsARN, to("a", 0), `hush`), "m0", "m1")
	if len(w.posted) > 0 {
		t.Errorf("%q", w.posted)
	}
	// That it cannot be forgotten does not bring the notice back.
	w = newWorld(t)
	w.connect("user:ann", "a")
	w.post = func(context.Context, string, int) error { w.storeErr = errors.New("no table"); return post.ErrGone }
	w.wants("not forgotten", w.handle(connsARN, to("a", 0)))
	if !strings.Contains(w.log.String(), "could not be forgotten") {
		t.Errorf("%s", &w.log)
	}
}

// To each connection in order, whatever happens to others; and not to all at once.
func TestOrderAndConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const connections, each = 30, 5
		w := newWorld(t)
		var bodies []string
		for n := range each {
			for _, id := range ids("c", connections) {
				bodies = append(bodies, to(id, n))
			}
		}
		w.connect("user:ann", ids("c", connections)...)
		w.post = func(_ context.Context, connection string, n int) error {
			time.Sleep(time.Duration(len(connection)+n) * time.Millisecond)
			return nil
		}
		w.wants("order", w.handle(connsARN, bodies...))
		next := map[string]int{}
		for _, p := range w.posted {
			var id, notice, data string
			var at int64
			if _, err := fmt.Sscan(p, &id, &notice, &data, &at); err != nil {
				t.Fatal(err)
			}
			if data != fmt.Sprint(next[id]) {
				t.Errorf("%s comes as number %d", p, next[id])
			}
			next[id]++
		}
		if len(w.posted) != connections*each || w.most != maxPosters {
			t.Errorf("%d posts, at most %d at once", len(w.posted), w.most)
		}
	})
}

// What there was no time for is reported, in time.
func TestDeliveryWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect("user:ann", "slow", "quick")
		w.post = func(ctx context.Context, connection string, n int) error {
			if connection == "quick" || n == 0 {
				return nil
			}
			<-ctx.Done() // as a post does
			return fmt.Errorf("%w: %w", post.ErrUnavailable, ctx.Err())
		}
		start := time.Now()
		failed := w.notices().Handle(within(t, 10*time.Second), batch(connsARN, to("slow", 0), to("slow", 1), to("slow", 2), to("quick", 3)))
		w.wants("no time", failed, "m1", "m2")
		if got := time.Since(start); got != 10*time.Second-margin {
			t.Errorf("after %v", got)
		}
		// With no time at all, nobody is called.
		w = newWorld(t)
		w.connect("user:ann", "a")
		failed = w.notices().Handle(within(t, margin/2), batch(connsARN, to("a", 0)))
		w.wants("none at all", failed, "m0")
		if len(w.looked)+len(w.posted) > 0 || !strings.Contains(w.causes()["m0"], "no time left") {
			t.Errorf("%q %q", w.looked, w.posted)
		}
	})
}

// A connection that is about to open is not forgotten: what is for it comes again.
func TestConnectionsThatDoNotExistYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect("user:ann", "a")
		w.conns["a"].ConnectedAt = time.Now()
		w.post = func(_ context.Context, _ string, n int) error {
			if n < 2 {
				return post.ErrGone
			}
			return nil
		}
		time.Sleep(5 * time.Second) // $connect takes its time
		w.wants("not yet", w.handle(connsARN, to("a", 0), to("a", 1)), "m0", "m1")
		if causes := w.causes(); !strings.Contains(causes["m0"], "only just come") || len(w.posted) != 1 || len(w.forgot) > 0 || w.counts[countDropped] > 0 {
			t.Errorf("%q, posted %q, forgot %q, %v", causes, w.posted, w.forgot, w.counts)
		}
		// If it has not opened by then, it never will.
		time.Sleep(time.Minute)
		w.log.Reset()
		clear(w.counts)
		w.wants("gone", w.handle(connsARN, to("a", 0)))
		if len(w.forgot) != 1 || w.counts[countDropped] != 1 {
			t.Errorf("forgot %q, %v", w.forgot, w.counts)
		}
	})
}

// 410 to a connection that has only just come means "not yet".
func TestYoungConnections(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		age     time.Duration
		posts   int
		dropped float64
	}{"young": {time.Second, 2, 0}, "grown up": {time.Minute, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gateway{statuses: []int{http.StatusGone, http.StatusOK}}
				p, err := post.New(post.Config{
					Endpoint: "https://abc.execute-api.eu-west-1.amazonaws.com/live", Region: "eu-west-1", HTTP: g,
					Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", ""),
				})
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t)
				w.conns["a"] = &store.Connection{ID: "a", ConnectedAt: time.Now().Add(-c.age)}
				n := w.notices()
				n.cfg.Poster = p
				w.wants(name, n.Handle(t.Context(), batch(connsARN, to("a", 0))))
				if len(g.sent) != c.posts || w.counts[countDropped] != c.dropped || !strings.Contains(g.sent[0], `"type":"notice"`) {
					t.Errorf("%q, %v", g.sent, w.counts)
				}
			})
		})
	}
}

type gateway struct {
	statuses []int
	sent     []string
}

func (g *gateway) Do(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status := g.statuses[len(g.sent)]
	g.sent = append(g.sent, string(text))
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// A message of a queue that is neither must not be deleted.
func TestOtherQueues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("user:ann", "a")
	b := batch(connsARN, to("a", 0), to("a", 1))
	b.Items[0].Queue = "arn:aws:sqs:eu-west-1:1:other"
	w.wants("other", w.notices().Handle(t.Context(), b), "m0")
	if got := w.causes()["m0"]; !strings.Contains(got, "CULVERT_NOTIFY_USER_ARN") || len(w.posted) != 1 {
		t.Errorf("%q, %q", got, w.posted)
	}
	if failed := w.notices().Handle(t.Context(), &event.Batch{}); len(failed) > 0 {
		t.Errorf("of nothing, %q failed", failed)
	}
}

func TestNewWantsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := Config{Users: "u", Connections: "c", Store: w, Poster: w, Queue: w}
	for name, change := range map[string]func(*Config){
		"store": func(c *Config) { c.Store = nil }, "poster": func(c *Config) { c.Poster = nil }, "queue": func(c *Config) { c.Queue = nil },
		"one ARN": func(c *Config) { c.Users = "" }, "another": func(c *Config) { c.Connections = "" }, "two of them": func(c *Config) { c.Users = c.Connections },
	} {
		cfg := all
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("without %s", name)
		}
	}
	if n, err := New(all); err != nil || n.log == nil {
		t.Errorf("%v", err)
	}
}
