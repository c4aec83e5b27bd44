package awslocal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/runtime"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
)

// object is a message.
type object = map[string]any

// bare is an agent's connection that says only what it is told to.
type bare struct {
	t           *testing.T
	conn        *websocket.Conn
	got         chan object
	established object
	ended       error // why, once got is closed
}

// dial connects, says ready and waits for the answer, which is established or an error.
func dial(t *testing.T, address, token string, ready object) (b *bare, answer object) {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, header)
	if err != nil {
		t.Fatalf("%v %v", err, response)
	}
	b = &bare{t: t, conn: conn, got: make(chan object, 64)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(b.got)
		for {
			var m object
			if b.ended = conn.ReadJSON(&m); b.ended != nil {
				return
			}
			b.got <- m
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	ready["type"] = "ready"
	b.say(ready)
	answer = b.next("an answer to ready")
	if answer["type"] == "connection_established" {
		b.established = answer
	}
	return b, answer
}

func (b *bare) say(m object) {
	b.t.Helper()
	if err := b.conn.WriteJSON(m); err != nil {
		b.t.Error(err)
	}
}

// next is the next message.
func (b *bare) next(what string) object {
	b.t.Helper()
	select {
	case m, ok := <-b.got:
		if !ok {
			b.t.Fatalf("the connection ended before %s: %v", what, b.ended)
		}
		return m
	case <-time.After(20 * time.Second):
		b.t.Fatalf("no message: %s", what)
	}
	return nil
}

// request waits for a visitor's request.
func (b *bare) request() (id string, m object) {
	b.t.Helper()
	for {
		m := b.next("a request")
		if m["type"] == "http_request" {
			return m["request_id"].(string), m
		}
	}
}

// silent wants that nothing has come that is about a request, but for its own: late
// answers are asked for.
func (b *bare) silent(who string, own ...string) {
	b.t.Helper()
	for {
		select {
		case m, ok := <-b.got:
			if !ok {
				return
			}
			if id, _ := m["request_id"].(string); id != "" && !slices.Contains(own, id) {
				b.t.Errorf("%s got %v", who, m)
			}
		default:
			return
		}
	}
}

// answer is the text as an answer to the request.
func answer(id, text string, session any) object {
	m := object{
		"type": "http_response", "request_id": id, "status_code": 200, "headers": object{"Content-Type": []string{"text/plain"}},
		"body": base64.StdEncoding.EncodeToString([]byte(text)), "processing_time_ms": 1,
	}
	if session != nil {
		m["session"] = session
	}
	return m
}

// journal is what the functions have logged.
type journal struct {
	mu      sync.Mutex
	lines   []string
	refused []string // causes
	more    chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) line(l runtime.Line) {
	var fields struct{ Message, Cause string }
	_ = json.Unmarshal([]byte(l.Text), &fields) // other lines have neither
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, l.Function+" "+l.Text)
	if strings.HasPrefix(fields.Message, "refused: ") {
		j.refused = append(j.refused, strings.TrimPrefix(fields.Message, "refused: ")+": "+fields.Cause)
	}
	close(j.more)
	j.more = make(chan struct{})
}

// until waits until so many things were refused, and gives their causes.
func (j *journal) until(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(25 * time.Second)
	for {
		j.mu.Lock()
		refused, more := slices.Clone(j.refused), j.more
		j.mu.Unlock()
		if len(refused) >= n {
			return refused
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%d refused, want %d: %q", len(refused), n, refused)
		}
	}
}

// outcome is a visitor's answer.
type outcome struct {
	status int
	text   string
	err    error
}

// ask makes a visitor's request, and gives the answer later.
func ask(ctx context.Context, method, url, body string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			done <- outcome{err: err}
			return
		}
		a, err := client.Do(r)
		if err != nil {
			done <- outcome{err: err}
			return
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		done <- outcome{a.StatusCode, string(text), err}
	}()
	return done
}

// realKeys are the account's own, and their texts.
func realKeys(t *testing.T, l *awslocal.Local) (*ticket.Keyring, []string) {
	t.Helper()
	client, name := awslocal.Parameters(l)
	p, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Tickets, Tokens []string }
	if err := json.Unmarshal([]byte(*p.Parameter.Value), &v); err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	for _, text := range v.Tickets {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	ring, err := ticket.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring, append(v.Tickets, v.Tokens...)
}

// altered changes the byte of an ID that f chooses.
func altered(t *testing.T, id string, f func(raw []byte)) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	f(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// forgeryWorld is an account with three owners: two whose agents have declared all
// that a forger could use, and an original one.
type forgeryWorld struct {
	t               *testing.T
	l               *awslocal.Local
	log             *journal
	keys            *ticket.Keyring
	secrets         []string
	tokens          map[string]string
	alice, bob, eve *bare
}

func newForgeryWorld(t *testing.T) *forgeryWorld {
	t.Helper()
	w := &forgeryWorld{t: t, log: newJournal(), tokens: map[string]string{}}
	secret := "a secret of the test for tokens, in letters"
	w.l = awslocaltest.Start(t, awslocal.Config{TokenSecret: []byte(secret), Lines: w.log.line})
	w.keys, w.secrets = realKeys(t, w.l)
	for _, name := range []string{"alice", "bob", "eve"} {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": name, "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[name] = token
		w.secrets = append(w.secrets, token, token[strings.LastIndexByte(token, '.')+1:])
	}
	w.alice, _ = dial(t, w.l.AgentsURL(), w.tokens["alice"], declaredReady("alices-shop"))
	// The token in the URL, where logs see it first.
	w.bob, _ = dial(t, w.l.AgentsURL()+"/?token="+url.QueryEscape(w.tokens["bob"]), "", declaredReady("bobs-shop"))
	w.eve, _ = dial(t, w.l.AgentsURL(), w.tokens["eve"], object{})
	for who, b := range map[string]*bare{"alice": w.alice, "bob": w.bob, "eve": w.eve} {
		if b.established == nil {
			t.Fatalf("%s got no tunnel", who)
		}
	}
	for _, b := range []*bare{w.alice, w.bob} {
		w.secrets = append(w.secrets, b.established["session"].(string), b.established["resume"].(string))
	}
	return w
}

func declaredReady(id string) object {
	ready := object{"protocol": 2, "capabilities": []string{"resume", "session", "chunks", "gzip", "cancel"}, "agent": "forgery test"}
	if id != "" {
		ready["tunnel_id"] = id
	}
	return ready
}

// public is the URL of an agent's tunnel.
func (w *forgeryWorld) public(b *bare) string { return b.established["public_url"].(string) }

// clean wants that no secret has got into what the functions wrote.
func (w *forgeryWorld) clean() {
	w.t.Helper()
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	for _, line := range w.log.lines {
		for _, secret := range w.secrets {
			if strings.Contains(line, secret) {
				w.t.Errorf("a secret (%.6s…) is in the log: %.300s", secret, line)
			}
		}
	}
	if len(w.log.lines) == 0 {
		w.t.Error("nothing was logged at all")
	}
}

// stored are the answers that were kept for a request.
func (w *forgeryWorld) stored(id, sender string) []store.Answer {
	w.t.Helper()
	tk, err := w.keys.Open(id, sender, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := awslocal.Tables(w.l)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := s.GetAnswers(w.t.Context(), tk.Key(), store.From(0), true)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// Nobody but its own agent answers a request, whatever he makes up of what he has seen:
// all of it is refused, counted and logged, nothing is stored or passed on, and the
// visitor gets the genuine answer.
func TestForgedAnswers(t *testing.T) {
	t.Parallel()
	w := newForgeryWorld(t)
	const query = "?card=4111111111111111&token=of-a-visitor"
	w.secrets = append(w.secrets, "4111111111111111", "of-a-visitor", "forged text", "the visitor's own words")

	// The first request of an environment is stored, the second has it dial, the third
	// is pushed: this one names a waiter.
	w.warm(w.alice)
	first := ask(t.Context(), "POST", w.public(w.alice)+"/x"+query, "the visitor's own words")
	id, _ := w.alice.request()
	waited, err := w.keys.Open(id, "", time.Now())
	if err != nil || waited.Waiter == "" {
		t.Fatalf("%+v, %v: a waiter was to be named", waited, err)
	}
	// Bob has a request of his own, and Eve one that is bound to her connection.
	bobs := ask(t.Context(), "GET", w.public(w.bob)+"/b", "")
	bobsID, _ := w.bob.request()
	eves := ask(t.Context(), "GET", w.public(w.eve)+"/e", "")
	evesID, _ := w.eve.request()

	session := func(b *bare) any { return b.established["session"] }
	connection := func(b *bare) string { return b.established["connection_id"].(string) }
	other, err := ticket.New(bytes.Repeat([]byte("k"), ticket.MinKey))
	if err != nil {
		t.Fatal(err)
	}
	own := ticket.Ticket{Tunnel: "bobs-shop", Waiter: waited.Waiter, Nonce: waited.Nonce, Expires: time.Now().Add(time.Minute)}
	stale := waited
	stale.Expires = time.Now().Add(-time.Minute)
	part := func(kind, id string, more object) object {
		m := object{"type": kind, "request_id": id, "session": session(w.bob)}
		for name, value := range more {
			m[name] = value
		}
		return m
	}
	// Whoever shows a session token that is none is sent away, as after a rotation of keys:
	// so each of these comes over a connection of its own.
	spare := func() *bare {
		b, said := dial(t, w.l.AgentsURL(), w.tokens["bob"], declaredReady(""))
		if b.established == nil {
			t.Fatal(said)
		}
		return b
	}
	const (
		noSession   = "it comes with no valid session token"
		otherTunnel = "its session token is of another tunnel than the request"
		forged      = "not an ID of this backend for this sender"
		expired     = "the ID has expired"
	)
	attempts := []struct {
		name  string
		from  *bare
		m     object
		cause string
	}{
		{"another tunnel's request", w.bob, answer(id, "forged text", session(w.bob)), otherTunnel},
		{"without a session", w.bob, answer(id, "forged text", nil), noSession},
		{"from an original agent", w.eve, answer(id, "forged text", nil), noSession},
		{"an original agent's request", w.bob, answer(evesID, "forged text", session(w.bob)), forged},
		{"the same, by another connection of the owner", w.alice, answer(evesID, "forged text", session(w.alice)), forged},
		{"an error", w.bob, part("error", id, object{"code": "internal_error", "message": "forged text"}), otherTunnel},
		{"a part", w.bob, part("chunk", id, object{"seq": 1, "last": true, "body": "Zm9yZ2Vk"}), otherTunnel},
		{"another tunnel's parts, please", w.bob, part("resend", id, object{"from": 0}), otherTunnel},
		{"an original agent's parts, please", w.bob, part("resend", evesID, object{"from": 0}), forged},
		// Made-up and changed IDs.
		{"a forged waiter: another key", w.bob, answer(other.Issue(own, ""), "forged text", session(w.bob)), forged},
		{"a forged waiter: in a genuine ID", w.bob, answer(altered(t, bobsID, func(raw []byte) { raw[20] ^= 1 }), "forged text", session(w.bob)), forged},
		{"a later end", w.bob, answer(altered(t, bobsID, func(raw []byte) { raw[3] ^= 0x10 }), "forged text", session(w.bob)), forged},
		{"another nonce", w.bob, answer(altered(t, bobsID, func(raw []byte) { copy(raw[6:], waited.Nonce[:]) }), "forged text", session(w.bob)), forged},
		{"not bound any more", w.eve, answer(altered(t, evesID, func(raw []byte) { raw[1] &^= 1 }), "forged text", nil), forged},
		{"bound", w.bob, answer(altered(t, id, func(raw []byte) { raw[1] |= 1 }), "forged text", session(w.bob)), forged},
		{"no MAC", w.bob, answer(altered(t, bobsID, func(raw []byte) { clear(raw[len(raw)-16:]) }), "forged text", session(w.bob)), forged},
		{"a session token for an ID", w.bob, answer(session(w.bob).(string), "forged text", session(w.bob)), forged},
		{"rubbish for an ID", w.bob, answer("rubbish", "forged text", session(w.bob)), forged},
		// Session tokens.
		{"an ID for a session token", spare(), answer(bobsID, "forged text", bobsID), noSession},
		{"a stale session token", spare(), answer(id, "forged text", w.keys.Session("alices-shop", time.Now().Add(-time.Second))), noSession},
		{"a session token of another key", spare(), answer(id, "forged text", other.Session("alices-shop", time.Now().Add(time.Hour))), noSession},
		{"a ping with one", spare(), object{"type": "ping", "session": other.Session("bobs-shop", time.Now().Add(time.Hour))}, noSession},
		// An old answer: the ID is genuine, and over.
		{"an old answer", w.alice, answer(w.keys.Issue(stale, ""), "forged text", session(w.alice)), expired},
		{"an old session's old answer", w.eve, answer(w.keys.Issue(bound(stale), connection(w.eve)), "forged text", nil), expired},
	}
	want := make([]string, 0, len(attempts))
	for _, a := range attempts {
		a.from.say(a.m)
		want = append(want, fmt.Sprint(a.m["type"])+": "+a.cause)
	}
	got := w.log.until(t, len(attempts))
	for i, cause := range got {
		if kind, rest, _ := strings.Cut(cause, ": "); strings.HasPrefix(rest, noSession) {
			got[i] = kind + ": " + noSession
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("refused for\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, stored := range [][]store.Answer{w.stored(id, ""), w.stored(bobsID, ""), w.stored(evesID, connection(w.eve))} {
		if len(stored) > 0 {
			t.Errorf("forged answers are stored: %d", len(stored))
		}
	}
	select {
	case o := <-first:
		t.Fatalf("the visitor has an answer: %+v", o)
	default:
	}

	w.alice.say(answer(id, "genuine", session(w.alice)))
	w.bob.say(answer(bobsID, "genuine, too", session(w.bob)))
	w.eve.say(answer(evesID, "and this", nil))
	for what, asked := range map[string]<-chan outcome{"genuine": first, "genuine, too": bobs, "and this": eves} {
		if o := <-asked; o.err != nil || o.status != 200 || o.text != what {
			t.Errorf("got %+v, want %q", o, what)
		}
	}
	w.alice.silent("alice", id)
	w.bob.silent("bob", bobsID)
	w.eve.silent("eve", evesID)

	// Its own agent says it again, while the next visitor waits: the ID is still good,
	// and not the one that is waited for.
	second := ask(t.Context(), "GET", w.public(w.alice)+"/y", "")
	secondID, _ := w.alice.request()
	for range 3 {
		w.alice.say(answer(id, "genuine", session(w.alice)))
	}
	w.alice.say(answer(secondID, "the second", session(w.alice)))
	if o := <-second; o.err != nil || o.status != 200 || o.text != "the second" {
		t.Errorf("got %+v", o)
	}
	w.clean()
}

// bound is the ticket as one that only one connection may answer.
func bound(t ticket.Ticket) ticket.Ticket {
	t.Bound = true
	return t
}

// warm makes requests until an answer can be pushed.
func (w *forgeryWorld) warm(b *bare) {
	w.t.Helper()
	for range 50 {
		done := ask(w.t.Context(), "GET", w.public(b)+"/warm", "")
		id, _ := b.request()
		tk, err := w.keys.Open(id, "", time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		b.say(answer(id, "warm", b.established["session"]))
		if o := <-done; o.status != 200 {
			w.t.Fatalf("%+v", o)
		}
		if tk.Waiter != "" {
			return
		}
	}
	w.t.Fatal("no request names a waiter")
}

// A name that somebody holds is nobody else's, whatever he shows for it; and what is
// sent to its holder goes to nobody else.
func TestForgedClaims(t *testing.T) {
	t.Parallel()
	w := newForgeryWorld(t)
	resume := w.alice.established["resume"].(string)
	for name, more := range map[string]object{
		"the name alone":               {},
		"a made-up secret":             {"resume": strings.Repeat("A", len(resume)), "epoch": 1000},
		"the holder's secret":          {"resume": resume, "epoch": 1000}, // it is worth something to its owner only
		"the session token for secret": {"resume": w.alice.established["session"]},
	} {
		ready := declaredReady("alices-shop")
		for k, v := range more {
			ready[k] = v
		}
		_, said := dial(t, w.l.AgentsURL(), w.tokens["bob"], ready)
		if said["type"] != "error" {
			t.Errorf("%s: %v", name, said["type"])
		}
	}
	// Nor by a handshake that another API would have to vouch for.
	for _, token := range []string{"", "rubbish", strings.TrimSuffix(w.tokens["alice"], w.tokens["alice"][len(w.tokens["alice"])-4:]) + "AAAA"} {
		header := http.Header{}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), w.l.AgentsURL()+"/?ticket=nothing-to-see", header)
		if err == nil {
			conn.Close()
			t.Errorf("token %.10q is taken", token)
		} else if response == nil || response.StatusCode != http.StatusUnauthorized {
			t.Errorf("token %.10q: %v", token, err)
		}
	}
	w.secrets = append(w.secrets, "nothing-to-see")

	// A body of many parts goes to the holder, all of it.
	body := strings.Repeat("the visitor's own words; ", 12_000)
	done := ask(t.Context(), "POST", w.public(w.alice)+"/chunks", "\x00"+noisy(body))
	id, m := w.alice.request()
	w.bob.say(object{"type": "resend", "request_id": id, "from": 0, "session": w.bob.established["session"]})
	w.bob.say(object{"type": "resend", "request_id": id, "seqs": []int{1, 2, 3}})
	w.log.until(t, 3+2)
	if more, _ := m["more"].(bool); more {
		for last := false; !last; {
			part := w.alice.next("a part")
			last, _ = part["last"].(bool)
		}
	}
	w.bob.silent("bob")
	w.alice.say(answer(id, "all of it", w.alice.established["session"]))
	if o := <-done; o.status != 200 || o.text != "all of it" {
		t.Errorf("%+v", o)
	}
	w.clean()
}

// noisy is text that cannot be compressed into one message.
func noisy(text string) string {
	b := []byte(text)
	state := uint32(1)
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = 'a' + byte(state>>24)%26 ^ byte(state>>16)&0x1f
	}
	return string(b)
}

// Nobody gets to the API of those who wait, or speaks in its name, without the
// credentials of the right function.
func TestForgedWaiters(t *testing.T) {
	t.Parallel()
	w := newForgeryWorld(t)
	w.warm(w.alice)
	somebody := aws.Credentials{AccessKeyID: runtime.AccessKeyID("public"), SecretAccessKey: "a guess", SessionToken: "another guess"}
	signed := func(method, address, body string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sum := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of nothing
		if err := v4.NewSigner().SignHTTP(t.Context(), somebody, r, sum, "execute-api", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	address := awslocal.WaitersURL(w.l)
	for name, header := range map[string]http.Header{
		"no signature": {},
		"a token":      {"Authorization": {"Bearer " + w.tokens["alice"]}},
		"a guess":      signed("GET", strings.Replace(address, "ws://", "http://", 1), "").Header,
	} {
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, header)
		if err == nil {
			conn.Close()
			t.Errorf("%s opens the door", name)
		} else if response == nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v, %v", name, response, err)
		}
	}
	waiters, agents := awslocal.ManagementURLs(w.l)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	forged, _ := json.Marshal(answer("x", "forged text", nil)) // of strings
	var targets []string
	for _, c := range w.l.WaitersAPI().Connections() {
		targets = append(targets, waiters+"/@connections/"+url.PathEscape(c.ID))
	}
	for _, c := range w.l.AgentsAPI().Connections() {
		targets = append(targets, agents+"/@connections/"+url.PathEscape(c.ID))
	}
	if len(targets) < 4 {
		t.Fatalf("only %d connections", len(targets))
	}
	for _, target := range targets {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			plain, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(forged))
			if err != nil {
				t.Fatal(err)
			}
			for name, r := range map[string]*http.Request{"no signature": plain, "a guess": signed(method, target, string(forged))} {
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s with %s: %d", method, target, name, response.StatusCode)
				}
			}
		}
	}
	// What the waiters' API understands means nothing on the agents'.
	w.bob.say(object{"action": "whoami"})
	w.bob.say(object{"type": "whoami", "action": "whoami"})
	done := ask(t.Context(), "GET", w.public(w.alice)+"/", "")
	id, _ := w.alice.request()
	w.alice.say(answer(id, "genuine", w.alice.established["session"]))
	if o := <-done; o.status != 200 || o.text != "genuine" {
		t.Errorf("%+v", o)
	}
	for m := range drained(w.bob) {
		if m["connectionId"] != nil {
			t.Errorf("an agent got %v", m)
		}
	}
	w.clean()
}

// drained is what has come so far.
func drained(b *bare) func(yield func(object) bool) {
	return func(yield func(object) bool) {
		for {
			select {
			case m, ok := <-b.got:
				if !ok || !yield(m) {
					return
				}
			default:
				return
			}
		}
	}
}
