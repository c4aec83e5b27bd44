package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/ticket"
)

const name = "/culvert/keys"

// parameters is a Systems Manager with one parameter.
type parameters struct {
	mu      sync.Mutex
	value   *string
	err     error // of all calls
	reads   int
	puts    int
	deletes int
	// beforePut is called before the next put, as if somebody were faster.
	beforePut func()
}

func (p *parameters) GetParameter(_ context.Context, of string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	switch {
	case p.err != nil:
		return "", p.err
	case of != name:
		return "", fmt.Errorf("asked for %s", of)
	case p.value == nil:
		return "", ErrMissing
	}
	return *p.value, nil
}

func (p *parameters) PutParameter(_ context.Context, of, value, _ string, overwrite bool) error {
	if before := p.beforePut; before != nil {
		p.beforePut = nil
		before()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.puts++
	switch {
	case p.err != nil:
		return p.err
	case of != name:
		return fmt.Errorf("put %s", of)
	case p.value != nil && !overwrite:
		return ErrExists
	}
	p.value = &value
	return nil
}

func (p *parameters) DeleteParameter(context.Context, string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deletes++
	switch {
	case p.err != nil:
		return p.err
	case p.value == nil:
		return ErrMissing
	}
	p.value = nil
	return nil
}

func (p *parameters) set(v value) *parameters {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = aws.String(v.text())
	return p
}

// clock is a clock that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// source is a Source of what p holds; nothing of it may get into the log.
func source(t *testing.T, p *parameters) (*Source, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	s, err := New(Config{Client: p, Name: name, Now: c.Now, Logger: watched(t, p)})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// watched is a logger whose output must hold no secret.
func watched(t *testing.T, p *parameters) *slog.Logger {
	var log bytes.Buffer
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		var v value
		if p.value == nil || json.Unmarshal([]byte(*p.value), &v) != nil {
			return
		}
		for _, secret := range append(v.Tickets, v.Tokens...) {
			if len(secret) >= 16 && strings.Contains(log.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
	})
	return slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func token(t *testing.T, secret string) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann"}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGet(t *testing.T) {
	t.Parallel()
	v := fresh(nil, 1)
	p := new(parameters).set(v)
	s, c := source(t, p)
	if p.reads != 0 {
		t.Error("read before they were needed")
	}
	set, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id, err := set.Tokens.Verify(t.Context(), token(t, v.Tokens[0])); err != nil || id.Subject != "ann" {
		t.Errorf("a token by the text itself: %+v, %v", id, err)
	}
	if secret := set.Resume.Secret("shop", "user:ann"); !set.Resume.Verify("shop", "user:ann", secret) {
		t.Error("its own resume secret is refused")
	}
	c.now = c.now.Add(lifetime - spread)
	if again, err := s.Get(t.Context()); err != nil || again != set || p.reads != 1 {
		t.Errorf("within 4 min: %v, %d reads", err, p.reads)
	}
	c.now = c.now.Add(spread)
	if again, err := s.Get(t.Context()); err != nil || again != set || p.reads != 2 {
		t.Errorf("after 5 min, unchanged: another set %v, %v, %d reads", again != set, err, p.reads)
	}
	p.set(fresh(&v, 2))
	c.now = c.now.Add(lifetime)
	if again, err := s.Get(t.Context()); err != nil || again == set {
		t.Errorf("after a rotation: the same set %v, %v", again == set, err)
	}
	if text := fmt.Sprintf("%v %+v %#v", set, set, set); strings.Contains(text, v.Tokens[0]) {
		t.Error("printing shows a secret")
	}
}

func TestNoKeys(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("secret-", 10)
	b64 := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for what, c := range map[string]struct {
		value *string
		err   error
		want  string
	}{
		"no parameter":     {want: "does not exist: deploy the stack again"},
		"no permission":    {err: errors.New("AccessDeniedException: not authorized"), want: "not authorized"},
		"no JSON":          {value: aws.String(secret), want: "not the JSON"},
		"no generation":    {value: aws.String(`{"tickets":["` + b64 + `"],"tokens":["` + secret + `"]}`), want: "no generation"},
		"no tickets":       {value: aws.String(`{"generation":1,"tokens":["` + secret + `"]}`), want: "0 ticket keys"},
		"three tokens":     {value: aws.String(`{"generation":1,"tickets":["` + b64 + `"],"tokens":["` + secret + `","b","c"]}`), want: "3 token secrets"},
		"no base64":        {value: aws.String(`{"generation":1,"tickets":["` + secret + `!"],"tokens":["` + secret + `"]}`), want: "no base64"},
		"a short ticket":   {value: aws.String(`{"generation":1,"tickets":["c2VjcmV0"],"tokens":["` + secret + `"]}`), want: "at least 32 bytes"},
		"a short token":    {value: aws.String(`{"generation":1,"tickets":["` + b64 + `"],"tokens":["secret-"]}`), want: "at least 32 bytes"},
		"something long":   {value: aws.String(`{"generation":1,"x":"` + strings.Repeat("x", maxValue) + `"}`), want: "too long"},
		"of another shape": {value: aws.String(`["secret-secret"]`), want: "not the JSON"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := &parameters{value: c.value, err: c.err}
			s, clock := source(t, p)
			for range 3 {
				set, err := s.Get(t.Context())
				if set != nil || !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), name) {
					t.Errorf("%v, %v; want ErrNone with %q", set, err, c.want)
				}
				if err != nil && strings.Contains(err.Error(), "secret-") {
					t.Errorf("the error shows the secret: %v", err)
				}
			}
			if p.reads != 1 {
				t.Errorf("%d reads at once", p.reads)
			}
			// It recovers when there are keys.
			p.mu.Lock()
			p.err = nil
			p.mu.Unlock()
			p.set(fresh(nil, 1))
			clock.now = clock.now.Add(lull)
			if _, err := s.Get(t.Context()); err != nil {
				t.Errorf("with keys: %v", err)
			}
		})
	}
}

// A process that lives on has read the keys before the rotation; another one has
// already used the new ones.
func TestReread(t *testing.T) {
	t.Parallel()
	v := fresh(nil, 1)
	p := new(parameters).set(v)
	s, c := source(t, p)
	old, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := fresh(&v, 2)
	p.set(next)
	newer, err := next.set(auth.NewSecretVerifier)
	if err != nil {
		t.Fatal(err)
	}
	id := newer.Tickets.Issue(ticket.Ticket{Tunnel: "shop", Expires: c.now.Add(time.Minute)}, "")
	if _, err := old.Tickets.Open(id, "", c.now); !errors.Is(err, ticket.ErrForged) {
		t.Fatalf("an ID of the future: %v", err)
	}
	// Who sends forged IDs makes it read once in a while, and no more.
	for range 100 {
		if _, changed, err := s.Reread(t.Context(), old); changed || err != nil {
			t.Fatalf("at once: %v, %v", changed, err)
		}
	}
	if p.reads != 1 {
		t.Errorf("%d reads", p.reads)
	}
	c.now = c.now.Add(lull)
	set, changed, err := s.Reread(t.Context(), old)
	if !changed || err != nil {
		t.Fatalf("after a while: %v, %v", changed, err)
	}
	if _, err := set.Tickets.Open(id, "", c.now); err != nil {
		t.Errorf("after reading again: %v", err)
	}
	// What is under way since before the rotation still counts.
	before := old.Tickets.Issue(ticket.Ticket{Tunnel: "shop", Expires: c.now.Add(time.Minute)}, "")
	if _, err := set.Tickets.Open(before, "", c.now); err != nil {
		t.Errorf("an ID from before the rotation: %v", err)
	}
	if !set.Resume.Verify("shop", "user:ann", old.Resume.Secret("shop", "user:ann")) {
		t.Error("a resume secret from before the rotation is refused")
	}
	for _, secret := range next.Tokens {
		if _, err := set.Tokens.Verify(t.Context(), token(t, secret)); err != nil {
			t.Errorf("one of the two token secrets: %v", err)
		}
	}
	// Another one that asked with the old set gets the new one without reading.
	if again, changed, err := s.Reread(t.Context(), old); again != set || !changed || err != nil || p.reads != 2 {
		t.Errorf("the second to ask: %v, %v, %d reads", changed, err, p.reads)
	}
}

func TestKeysStayWhenTheyCannotBeRead(t *testing.T) {
	t.Parallel()
	p := new(parameters).set(fresh(nil, 1))
	s, c := source(t, p)
	set, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.err = errors.New("the Systems Manager is down")
	c.now = c.now.Add(lifetime)
	for range 5 {
		if again, err := s.Get(t.Context()); again != set || err != nil {
			t.Errorf("while it is down: %v, %v", again, err)
		}
	}
	if p.reads != 2 {
		t.Errorf("%d reads while it is down", p.reads)
	}
	c.now = c.now.Add(lull)
	if _, err := s.Get(t.Context()); err != nil || p.reads != 3 {
		t.Errorf("later: %v, %d reads", err, p.reads)
	}
	// The environment's clock may have been wrong.
	p.err = nil
	c.now = c.now.Add(-time.Hour)
	if _, err := s.Get(t.Context()); err != nil || p.reads != 4 {
		t.Errorf("after the clock was set back: %v, %d reads", err, p.reads)
	}
}

func request(kind, generation string, more ...string) *event.Resource {
	q := &event.Resource{RequestType: kind, RequestID: "r", LogicalID: "Keys", ResponseURL: "https://example.com/?signature",
		Properties: map[string]any{"Parameter": name, "Generation": generation}}
	if kind != event.Create {
		q.PhysicalID = name
	}
	for n := 0; n < len(more); n += 2 {
		q.Properties[more[n]] = more[n+1]
	}
	return q
}

func resource(t *testing.T, p *parameters) *Resource {
	t.Helper()
	r, err := NewResource(p, name, watched(t, p))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func current(t *testing.T, p *parameters) value {
	t.Helper()
	v, err := parse(aws.ToString(p.value))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.set(auth.NewSecretVerifier); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestResourceLife(t *testing.T) {
	t.Parallel()
	p := &parameters{}
	r := resource(t, p)
	handle := func(q *event.Resource) event.Outcome {
		t.Helper()
		o := r.Handle(t.Context(), q)
		if o.Err != nil || o.PhysicalID != name {
			t.Fatalf("%s: %+v", q.RequestType, o)
		}
		for key, text := range o.Data {
			if len(text) > 8 {
				t.Errorf("everybody can read %s = %s", key, text)
			}
		}
		return o
	}
	o := handle(request(event.Create, "1"))
	first := current(t, p)
	if first.Generation != 1 || len(first.Tickets) != 1 || len(first.Tokens) != 1 || o.Data["Generation"] != "1" {
		t.Errorf("created: generation %d, %d and %d keys", first.Generation, len(first.Tickets), len(first.Tokens))
	}
	// CloudFormation asks again when it has lost the answer; so does a rollback.
	for _, q := range []*event.Resource{request(event.Create, "1"), request(event.Update, "1"), request(event.Create, "7"), request(event.Update, "")} {
		handle(q)
		if diff := cmp.Diff(first, current(t, p)); diff != "" {
			t.Fatalf("%s changed the keys", q.RequestType)
		}
	}
	for range 2 {
		handle(request(event.Update, "2"))
	}
	second := current(t, p)
	if second.Generation != 2 || len(second.Tickets) != 2 || len(second.Tokens) != 2 ||
		second.Tickets[1] != first.Tickets[0] || second.Tokens[1] != first.Tokens[0] ||
		second.Tickets[0] == first.Tickets[0] || second.Tokens[0] == first.Tokens[0] {
		t.Error("rotated otherwise than by one new key before the last")
	}
	handle(request(event.Update, "1")) // rollback
	handle(request(event.Update, "9"))
	third := current(t, p)
	if third.Generation != 9 || len(third.Tickets) != 2 || third.Tickets[1] != second.Tickets[0] {
		t.Error("the third rotation does not keep the second's key alone")
	}
	if p.puts != 3 {
		t.Errorf("%d writes", p.puts)
	}
	handle(request(event.Delete, "9", "OnDelete", "retain"))
	if p.value == nil {
		t.Fatal("deleted, though they were to be retained")
	}
	for range 2 {
		handle(request(event.Delete, "9"))
	}
	if p.value != nil {
		t.Error("not deleted")
	}
	// Somebody deleted them by hand.
	handle(request(event.Update, "9"))
	if v := current(t, p); v.Generation != 9 || len(v.Tickets) != 1 {
		t.Errorf("made anew: generation %d", v.Generation)
	}
}

func TestResourceRefuses(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		p    *parameters
		q    *event.Resource
		want string
	}{
		"another parameter": {&parameters{}, request(event.Create, "1", "Parameter", "/other"), "keeps another one"},
		"no number":         {&parameters{}, request(event.Create, "new"), "must be a number"},
		"zero":              {&parameters{}, request(event.Update, "0"), "must be a number"},
		"a policy":          {&parameters{}, request(event.Create, "1", "OnDelete", "maybe"), "must be delete or retain"},
		"something else":    {&parameters{value: aws.String("my database password")}, request(event.Create, "1"), "give the stack another parameter"},
		"cannot be read":    {&parameters{err: errors.New("access denied")}, request(event.Create, "1"), "cannot be read: access denied"},
		"cannot be deleted": {&parameters{err: errors.New("access denied")}, request(event.Delete, "1"), "cannot be deleted: access denied"},
	} {
		o := resource(t, c.p).Handle(t.Context(), c.q)
		if o.Err == nil || !strings.Contains(o.Err.Error(), c.want) || strings.Contains(o.Err.Error(), "database") || o.Data != nil {
			t.Errorf("%s: %+v, want %q", what, o, c.want)
		}
		if c.p.puts > 0 {
			t.Errorf("%s: written", what)
		}
		// What CloudFormation deletes after a failure must not be what was there before.
		if c.q.RequestType != event.Create {
			continue
		}
		c.p.err = nil
		failed := &event.Resource{RequestType: event.Delete, PhysicalID: o.PhysicalID, Properties: c.q.Properties}
		if failed.PhysicalID == "" {
			failed.PhysicalID = "Keys-r" // made up from the request
		}
		if o := resource(t, c.p).Handle(t.Context(), failed); o.Err != nil || c.p.deletes > 0 {
			t.Errorf("%s: the clean-up gives %+v, %d deletions", what, o, c.p.deletes)
		}
	}
	if _, err := NewResource(nil, name, nil); err == nil {
		t.Error("without a client")
	}
	if _, err := New(Config{Client: &parameters{}}); err == nil {
		t.Error("without a name")
	}
	if _, err := New(Config{Name: name}); err == nil {
		t.Error("without a client")
	}
}

// CloudFormation may send a request twice at the same time.
func TestCreatedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p := &parameters{}
	r := resource(t, p)
	var first value
	p.beforePut = func() {
		if o := r.Handle(context.Background(), request(event.Create, "1")); o.Err != nil {
			t.Error(o.Err)
		}
		first = current(t, p)
	}
	if o := r.Handle(t.Context(), request(event.Create, "1")); o.Err != nil {
		t.Error(o.Err)
	}
	if diff := cmp.Diff(first, current(t, p)); diff != "" {
		t.Error("the second has overwritten the first's keys")
	}
}

// At the first deployment the function's role may be too young to have its rights.
func TestResourceWaitsForItsRights(t *testing.T) {
	t.Parallel()
	denied := &Refusal{Status: 400, Kind: "AccessDeniedException", Message: "User: … is not authorized"}
	for _, c := range []struct {
		name  string
		after time.Duration // until it has them
		err   error         // until then
		ok    bool
		took  time.Duration
	}{
		{"at once", 0, denied, true, 0},
		{"soon", 5 * time.Second, denied, true, 6 * time.Second},
		{"never", time.Hour, denied, false, 20 * time.Second},
		{"too many calls", 5 * time.Second, throttled, true, 6 * time.Second},
		{"another error", time.Hour, &Refusal{Status: 400, Kind: "ValidationException"}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				p := &parameters{err: c.err}
				var wg sync.WaitGroup
				wg.Go(func() {
					time.Sleep(c.after)
					p.mu.Lock()
					defer p.mu.Unlock()
					p.err = nil
				})
				if c.after == 0 {
					wg.Wait()
				}
				o := resource(t, p).Handle(t.Context(), request(event.Create, "1"))
				if took := time.Since(start); (o.Err == nil) != c.ok || took != c.took {
					t.Errorf("%v after %v; want success %v after %v", o.Err, took, c.ok, c.took)
				}
				if !c.ok && !errors.Is(o.Err, c.err) {
					t.Errorf("%v does not say why", o.Err)
				}
				wg.Wait()
			})
		})
	}
}

// Whatever is in the parameter: it is understood whole, or refused.
func FuzzParse(f *testing.F) {
	v := fresh(nil, 1)
	f.Add(v.text())
	f.Add(fresh(&v, 2).text())
	f.Add(`{"generation":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parse(text)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		set, err := v.set(auth.NewSecretVerifier)
		if err != nil {
			return
		}
		if len(set.Resume) != len(v.Tickets) {
			t.Error("keys were lost")
		}
		if again, err := parse(v.text()); err != nil || !cmp.Equal(v, again) {
			t.Errorf("written and read again: %v", err)
		}
	})
}
