package notices

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/host"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	usersARN = "arn:aws:sqs:eu-west-1:1:user"
	connsARN = "arn:aws:sqs:eu-west-1:1:connection"
)

// world stands in for all that a Notices calls, and keeps what it was called with.
type world struct {
	t *testing.T

	mu       sync.Mutex
	users    map[string][]store.UserConnection
	conns    map[string]*store.Connection
	storeErr error
	pageErr  error    // of what comes after a page of a user's connections
	looked   []string // owners and connections that were looked up
	forgot   []string

	posted  []string // "connection notice"
	posting int      // now
	most    int      // of posting
	// post is what becomes of the n-th post to a connection; nil: all goes well.
	post func(ctx context.Context, connection string, n int) error
	nth  map[string]int

	sends [][]string // the bodies of each call
	// send is what becomes of message i of the n-th call.
	send func(n, i int, body string) error

	counts map[string]float64
	log    bytes.Buffer
}

func newWorld(t *testing.T) *world {
	return &world{t: t, users: map[string][]store.UserConnection{}, conns: map[string]*store.Connection{}, nth: map[string]int{}, counts: map[string]float64{}}
}

// connect adds connections of a user, by their IDs.
func (w *world) connect(owner string, ids ...string) {
	for _, id := range ids {
		w.users[owner] = append(w.users[owner], store.UserConnection{Connection: id, Notices: true})
		w.conns[id] = &store.Connection{ID: id, Owner: owner}
	}
}

// pageSize is how many connections of a user come at once.
const pageSize = 40

func (w *world) EachUserConnections(_ context.Context, owner string, page func([]store.UserConnection) error) error {
	w.mu.Lock()
	w.looked = append(w.looked, owner)
	all, err := w.users[owner], w.storeErr
	w.mu.Unlock()
	if err != nil {
		return err
	}
	for connections := range slices.Chunk(all, pageSize) {
		if err := page(connections); err != nil {
			return err
		}
		if w.pageErr != nil {
			return w.pageErr
		}
	}
	return nil
}

func (w *world) Connection(_ context.Context, id string) (*store.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked = append(w.looked, id)
	if w.storeErr != nil {
		return nil, w.storeErr
	}
	if c := w.conns[id]; c != nil {
		return c, nil
	}
	return nil, store.ErrUnknown
}

func (w *world) ForgetOf(_ context.Context, owner, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgot = append(w.forgot, strings.TrimSpace(owner+" "+id))
	return w.storeErr
}

func (w *world) Post(ctx context.Context, connection string, text []byte, _ ...post.Option) error {
	m, err := wire.Decode(text, wire.MaxGatewayMessage)
	notice, ok := m.(*wire.Notice)
	if err != nil || !ok {
		w.t.Errorf("posted %s: %v", text, err)
		return nil
	}
	w.mu.Lock()
	n := w.nth[connection]
	w.nth[connection]++
	w.posted = append(w.posted, fmt.Sprintf("%s %s %s %d", connection, notice.ID, notice.Data, notice.Time))
	w.posting++
	w.most = max(w.most, w.posting)
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.posting--
		w.mu.Unlock()
	}()
	if w.post != nil {
		return w.post(ctx, connection, n)
	}
	return nil
}

func (w *world) Send(_ context.Context, bodies []string) []error {
	if len(bodies) > maxSend {
		w.t.Errorf("%d messages at once", len(bodies))
	}
	w.sends = append(w.sends, bodies)
	errs := make([]error, len(bodies))
	for i, body := range bodies {
		if w.send != nil {
			errs[i] = w.send(len(w.sends)-1, i, body)
		}
	}
	return errs
}

func (w *world) Count(name string, n float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name] += n
}

func (w *world) notices() *Notices {
	w.t.Helper()
	n, err := New(Config{
		Users: usersARN, Connections: connsARN, Store: w, Poster: w, Queue: w, Count: w,
		Logger: host.NewLogger(&w.log, slog.LevelInfo),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// handle serves messages of one queue, which are called m0, m1 and so on.
func (w *world) handle(queue string, bodies ...string) []string {
	w.t.Helper()
	return w.notices().Handle(w.t.Context(), batch(queue, bodies...))
}

func batch(queue string, bodies ...string) *event.Batch {
	b := &event.Batch{}
	for i, body := range bodies {
		b.Items = append(b.Items, event.Item{ID: fmt.Sprint("m", i), Body: body, Sent: sent, Receives: 2, Queue: queue})
	}
	return b
}

// addressed are the connections of the messages sent, in order.
func (w *world) addressed() []string {
	var ids []string
	for _, call := range w.sends {
		for _, body := range call {
			var m outgoing
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				w.t.Errorf("%s: %v", body, err)
			}
			ids = append(ids, m.ConnectionID)
		}
	}
	return ids
}

// causes are why messages failed, by their IDs, as the function's log says it.
func (w *world) causes() map[string]string {
	all := map[string]string{}
	for text := range bytes.Lines(w.log.Bytes()) {
		var line struct{ Level, Queue, Message, MessageID, Cause string }
		if err := json.Unmarshal(text, &line); err != nil {
			w.t.Fatal(err)
		}
		if line.Level == "ERROR" {
			if line.Message != "a notice failed" || line.Queue == "" {
				w.t.Errorf("the log says %s", text)
			}
			all[line.MessageID] = line.Cause
		}
	}
	return all
}

// wants checks which messages failed, and that the log and the metrics say so.
func (w *world) wants(name string, failed []string, wanted ...string) {
	w.t.Helper()
	if !slices.Equal(failed, wanted) {
		w.t.Errorf("%s: %q failed, want %q\n%s", name, failed, wanted, &w.log)
	}
	if got := slices.Sorted(maps.Keys(w.causes())); !slices.Equal(got, wanted) {
		w.t.Errorf("%s: the log names %q:\n%s", name, got, &w.log)
	}
	if w.counts[countFailed] != float64(len(wanted)) {
		w.t.Errorf("%s: %v", name, w.counts)
	}
	if bytes.Contains(w.log.Bytes(), []byte("hush")) {
		w.t.Errorf("%s: data in the log:\n%s", name, &w.log)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
