package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"culvert/app/link"
	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLink is a connection that ends when the test says so.
type fakeLink struct {
	est   wire.Established
	end   chan error    // what Run returns
	idle  chan struct{} // closed: Drain returns
	going chan struct{}
	probe chan error // what Probe returns; empty: silence

	renewed atomic.Bool

	mu      sync.Mutex
	probes  int
	running bool
	settled int
	gone    bool
	closed  chan struct{}
}

func newFakeLink(est wire.Established) *fakeLink {
	return &fakeLink{
		est: est, end: make(chan error, 1), idle: make(chan struct{}), going: make(chan struct{}),
		probe: make(chan error, 1), closed: make(chan struct{}),
	}
}

func (l *fakeLink) Established() wire.Established { return l.est }

func (l *fakeLink) Run(ctx context.Context) error {
	l.setRunning(true)
	defer l.setRunning(false)
	select {
	case err := <-l.end:
		return err
	case <-l.closed:
		return errors.New("closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *fakeLink) Drain(ctx context.Context) error {
	select {
	case <-l.idle:
		return nil
	case <-l.closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *fakeLink) Probe(ctx context.Context) error {
	l.mu.Lock()
	l.probes++
	l.mu.Unlock()
	select {
	case err := <-l.probe:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *fakeLink) Renewed() bool { return l.renewed.Load() }

func (l *fakeLink) GoingAway() <-chan struct{} { return l.going }

func (l *fakeLink) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		l.gone = true
		close(l.closed)
	}
}

// Settle is 2 if the link was still running.
func (l *fakeLink) Settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled++
	if l.running {
		l.settled++
	}
}

func (l *fakeLink) setRunning(running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = running
}

func (l *fakeLink) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

func (l *fakeLink) probeCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.probes
}

// try is one dial that the test answers.
type try struct {
	hello link.Hello
	at    time.Time
	reply chan any // a *fakeLink or an error
}

// bench runs one session inside a synctest bubble, with jitter that picks the
// last moment of each window: waits are then exact.
type bench struct {
	t       *testing.T
	s       *Session
	start   time.Time
	cancel  context.CancelFunc
	done    chan error
	network *fakeMachine

	deaf bool // dials do not notice that they are given up

	mu       sync.Mutex
	tries    []*try
	statuses []Status
}

// run starts a session and calls check in a synctest bubble.
func run(t *testing.T, cfg Config, check func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &bench{t: t, start: time.Now(), cancel: cancel, done: make(chan error, 1), network: newFakeMachine()}
		cfg.Dial = b.dial
		cfg.OnStatus = func(st Status) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.statuses = append(b.statuses, st)
		}
		if cfg.Jitter == nil {
			cfg.Jitter = func(below time.Duration) time.Duration { return below }
		}
		cfg.Watcher = NewWatcher(b.network.config())
		cfg.wall = func() time.Time { wall, _ := b.network.config().Clock(); return wall }
		var wg sync.WaitGroup
		wg.Go(func() { cfg.Watcher.Run(ctx) })
		b.s = New(cfg)
		wg.Go(func() { b.done <- b.s.Run(ctx) })
		synctest.Wait()
		check(b)
		cancel()
		wg.Wait()
	})
}

func (b *bench) dial(ctx context.Context, h link.Hello) (Link, error) {
	tr := &try{hello: h, at: time.Now(), reply: make(chan any, 1)}
	b.mu.Lock()
	b.tries = append(b.tries, tr)
	b.mu.Unlock()
	if b.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	select {
	case r := <-tr.reply:
		if l, ok := r.(*fakeLink); ok {
			return l, nil
		}
		return nil, r.(error)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answer gives dial n (from 1) its result.
func (b *bench) answer(n int, r any) {
	b.t.Helper()
	b.lastTry(n).reply <- r
	synctest.Wait()
}

// lastTry checks that exactly n dials have started and gives the n-th.
func (b *bench) lastTry(n int) *try {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tries) != n {
		b.t.Fatalf("%v after the start: %d dials started, want %d", time.Since(b.start), len(b.tries), n)
	}
	return b.tries[n-1]
}

func (b *bench) sleep(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

func (b *bench) wantState(want State) Status {
	b.t.Helper()
	st := b.s.Status()
	if st.State != want {
		b.t.Fatalf("%v after the start: state %v (%v), want %v", time.Since(b.start), st.State, st.Cause, want)
	}
	return st
}

// history is what OnStatus was told, in short.
func (b *bench) history() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var h []string
	for _, st := range b.statuses {
		switch st.State {
		case Reconnecting:
			h = append(h, fmt.Sprintf("Reconnecting %d: %v", st.Attempt, st.Cause))
		case Online:
			h = append(h, "Online "+st.Established.PublicURL)
		default:
			h = append(h, st.State.String())
		}
	}
	return h
}

func (b *bench) wantHistory(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.history()); diff != "" {
		b.t.Errorf("transitions (-want +got):\n%s", diff)
	}
}

// est is a handshake with a backend that can resume.
func est(epoch int64) wire.Established {
	return wire.Established{
		ConnectionID: fmt.Sprint("c", epoch), TunnelID: "shop", PublicURL: "http://relay/shop",
		Protocol: wire.ProtocolVersion, Capabilities: []wire.Capability{wire.CapResume},
		Resume: "secret", Epoch: epoch,
	}
}

func aged(e wire.Established, age time.Duration) wire.Established {
	e.MaxAgeMS = age.Milliseconds()
	return e
}

// fakeMachine has a clock that can be pushed and a list of addresses.
type fakeMachine struct {
	start time.Time

	mu    sync.Mutex
	slept time.Duration
	addrs []net.Addr
}

func newFakeMachine() *fakeMachine {
	m := &fakeMachine{start: time.Now()}
	m.move("192.0.2.1/24")
	return m
}

func (m *fakeMachine) config() WatchConfig {
	return WatchConfig{
		Interval: time.Second,
		Clock: func() (time.Time, time.Duration) {
			m.mu.Lock()
			defer m.mu.Unlock()
			now := time.Now()
			return now.Add(m.slept).Round(0), now.Sub(m.start)
		},
		Addrs: func() ([]net.Addr, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.addrs, nil
		},
	}
}

// sleep pushes the wall clock, as a suspended machine finds it.
func (m *fakeMachine) sleep(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slept += d
}

func (m *fakeMachine) move(cidrs ...string) {
	var addrs []net.Addr
	for _, c := range cidrs {
		ip, ipnet, err := net.ParseCIDR(c)
		if err != nil {
			panic(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: ipnet.Mask})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addrs = addrs
}

var errDown = errors.New("connection refused")

func TestFirstConnectAndStop(t *testing.T) {
	t.Parallel()
	run(t, Config{TunnelID: "shop"}, func(b *bench) {
		b.wantState(Connecting)
		tr := b.lastTry(1)
		if tr.hello.TunnelID != "shop" || tr.hello.Resume != "" || tr.hello.Epoch != 0 || tr.hello.Instance == "" {
			t.Errorf("first hello = %+v", tr.hello)
		}
		l := newFakeLink(est(1))
		b.answer(1, l)
		if st := b.wantState(Online); st.Established.TunnelID != "shop" {
			t.Errorf("established = %+v", st.Established)
		}
		b.cancel()
		if err := <-b.done; err != nil {
			t.Errorf("Run = %v after a stop, want nil", err)
		}
		if !l.isClosed() {
			t.Error("the link outlives the session")
		}
		b.wantState(Stopped)
		b.wantHistory("Connecting", "Online http://relay/shop", "Stopped")
	})
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		last := b.start
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if i > 0 {
				st := b.wantState(Reconnecting)
				if got := time.Until(st.NextTry); got != want*time.Second || st.Attempt != i {
					t.Errorf("attempt %d waits %v, want attempt %d and %v", st.Attempt, got, i, want*time.Second)
				}
				b.sleep(want*time.Second - time.Nanosecond)
				b.lastTry(i)
				b.sleep(time.Nanosecond)
			}
			tr := b.lastTry(i + 1)
			if got := tr.at.Sub(last); got != want*time.Second {
				t.Errorf("dial %d came after %v, want %v", i+1, got, want*time.Second)
			}
			last = tr.at
			b.answer(i+1, errDown)
		}
	})
}

func TestBackoffUsesTheWholeWindow(t *testing.T) {
	t.Parallel()
	b := backoff{min: time.Second, max: time.Minute, jitter: uniform}
	for n, window := range map[int]time.Duration{1: time.Second, 4: 8 * time.Second, 7: time.Minute, 1 << 40: time.Minute} {
		var low, high int
		for range 1000 {
			d := b.wait(n)
			if d < 0 || d >= window {
				t.Fatalf("wait(%d) = %v, outside [0, %v)", n, d, window)
			}
			if d < window/4 {
				low++
			}
			if d > window*3/4 {
				high++
			}
		}
		if low == 0 || high == 0 {
			t.Errorf("wait(%d): %d in the first quarter, %d in the last, of 1000", n, low, high)
		}
	}
}

func TestBackoffIsResetOnlyByStability(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		online time.Duration
		want   int // attempt after the loss
	}{
		{"a moment", time.Second, 4},
		{"almost stable", 30*time.Second - 1, 4},
		{"stable", 30 * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				for i := range 3 {
					b.answer(i+1, errDown)
					b.sleep(time.Second << i)
				}
				l := newFakeLink(est(1))
				b.answer(4, l)
				b.sleep(tt.online)
				l.end <- errDown
				synctest.Wait()
				st := b.wantState(Reconnecting)
				if st.Attempt != tt.want {
					t.Errorf("attempt %d, want %d", st.Attempt, tt.want)
				}
				if got, want := time.Until(st.NextTry), time.Second<<(tt.want-1); got != want {
					t.Errorf("waits %v, want %v", got, want)
				}
			})
		})
	}
}

func TestReconnectAsksForTheSameURL(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		first := b.lastTry(1).hello
		l := newFakeLink(est(7))
		b.answer(1, l)
		b.sleep(time.Minute)
		l.end <- nil
		synctest.Wait()
		st := b.wantState(Reconnecting)
		if st.Cause == nil || st.Established.PublicURL == "" {
			t.Errorf("status = %+v, want a cause and the URL that used to be", st)
		}
		if wait := time.Until(st.NextTry); wait > time.Second {
			t.Errorf("the first retry waits %v", wait)
		}
		b.sleep(time.Second)
		want := link.Hello{TunnelID: "shop", Resume: "secret", Epoch: 7, Instance: first.Instance}
		if diff := cmp.Diff(want, b.lastTry(2).hello); diff != "" {
			t.Errorf("second hello (-want +got):\n%s", diff)
		}
		b.answer(2, newFakeLink(est(8)))
		b.wantState(Online)
	})
}

func TestBackendThatCannotResumeGivesAnotherURL(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		plain := wire.Established{ConnectionID: "c", TunnelID: "a1", PublicURL: "https://x/a1", MaxAgeMS: 7200_000}
		l := newFakeLink(plain)
		b.answer(1, l)
		b.sleep(2*time.Hour - 1)
		b.lastTry(1) // no early replacement: it would only change the URL
		l.end <- errDown
		b.sleep(time.Second)
		if h := b.lastTry(2).hello; h.TunnelID != "" || h.Resume != "" {
			t.Errorf("hello = %+v, want nothing remembered", h)
		}
		plain.TunnelID, plain.PublicURL = "b2", "https://x/b2"
		b.answer(2, newFakeLink(plain))
		b.wantHistory("Connecting", "Online https://x/a1", "Reconnecting 1: connection refused", "Online https://x/b2")
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	taken := &wire.Error{Code: wire.CodeNameTaken, Message: "the name is taken"}
	replaced := &wire.Error{Code: wire.CodeReplaced, Message: "taken over"}
	refused := func(b *bench, want *wire.Error) {
		t.Helper()
		if err := <-b.done; err != error(want) {
			t.Errorf("Run = %v, want %v", err, want)
		}
		if st := b.wantState(Refused); st.Cause != error(want) {
			t.Errorf("cause = %v, want %v", st.Cause, want)
		}
	}
	t.Run("at the first dial", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			b.answer(1, fmt.Errorf("dialling: %w", taken))
			refused(b, taken)
			b.wantHistory("Connecting", "Refused")
		})
	})
	t.Run("at a later dial", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			b.answer(1, errDown)
			b.sleep(time.Second)
			b.answer(2, taken)
			refused(b, taken)
		})
	})
	t.Run("replaced while online", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			l := newFakeLink(est(1))
			b.answer(1, l)
			l.end <- replaced
			refused(b, replaced)
			b.lastTry(1)
		})
	})
	t.Run("and run again", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			b.answer(1, taken)
			refused(b, taken)
			ctx, cancel := context.WithCancel(b.t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = b.s.Run(ctx) })
			synctest.Wait()
			b.wantState(Connecting)
			if err := b.s.Run(ctx); !errors.Is(err, ErrRunning) {
				t.Errorf("a second Run beside the first = %v, want ErrRunning", err)
			}
			b.answer(2, newFakeLink(est(1)))
			b.wantState(Online)
			cancel()
			wg.Wait()
			b.wantState(Stopped)
		})
	})
}

type throttled struct{ after time.Duration }

func (t throttled) Error() string             { return "too many handshakes" }
func (t throttled) RetryAfter() time.Duration { return t.after }
func (t throttled) Unwrap() error             { return &wire.Error{Code: wire.CodeThrottled} }

func TestThrottledWaitsAsLongAsTold(t *testing.T) {
	t.Parallel()
	run(t, Config{Jitter: func(time.Duration) time.Duration { return 0 }}, func(b *bench) {
		b.answer(1, fmt.Errorf("dial: %w", throttled{20 * time.Second}))
		b.wantState(Reconnecting)
		b.network.move("192.0.2.2/24") // no excuse
		b.sleep(20*time.Second - 1)
		b.lastTry(1)
		b.sleep(1)
		b.lastTry(2)
	})
}

// The user may ask before the time is over; what happens then must not be forgotten.
func TestThrottledButAskedAgain(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		b.answer(1, throttled{time.Minute})
		b.s.RetryNow()
		synctest.Wait()
		b.lastTry(2)
		b.network.sleep(time.Hour) // while the dial is under way
		b.sleep(time.Second)
		b.answer(3, newFakeLink(est(1)))
		b.wantState(Online)
	})
}

func TestRetryNow(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		b.s.RetryNow() // nothing to skip: the dial is under way
		synctest.Wait()
		b.answer(1, errDown)
		b.sleep(time.Second)
		b.answer(2, errDown)
		b.s.RetryNow()
		b.s.RetryNow()
		synctest.Wait()
		b.lastTry(3)
		if st := b.wantState(Reconnecting); !st.NextTry.Equal(time.Now()) || st.Attempt != 2 {
			t.Errorf("status = %+v, want attempt 2, now", st)
		}
		b.sleep(time.Minute) // the skipped wait does not come back; this dial times out
		b.lastTry(3 + 1)
		b.answer(4, newFakeLink(est(1)))
		b.s.RetryNow()
		synctest.Wait()
		b.wantState(Online)
		b.lastTry(4)
	})
}

func TestDialHasATimeLimit(t *testing.T) {
	t.Parallel()
	run(t, Config{DialTimeout: 10 * time.Second}, func(b *bench) {
		b.sleep(10 * time.Second)
		if st := b.wantState(Reconnecting); !errors.Is(st.Cause, context.DeadlineExceeded) {
			t.Errorf("cause = %v", st.Cause)
		}
	})
}

func TestStopAndRetryFromManyGoroutines(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for range 10 {
					b.s.RetryNow()
					_ = b.s.Status()
				}
				if i == 10 {
					b.cancel()
				}
			})
		}
		wg.Wait()
		if err := <-b.done; err != nil {
			t.Errorf("Run = %v", err)
		}
		b.wantState(Stopped)
	})
}

// What outlives connections ends with the session, once none is left.
func TestRunSettles(t *testing.T) {
	t.Parallel()
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		var old, next *fakeLink
		run(t, Config{}, func(b *bench) {
			old, next = newFakeLink(est(1)), newFakeLink(est(2))
			b.answer(1, old)
			old.end <- errDown
			b.sleep(time.Second)
			b.answer(2, next)
			b.wantState(Online)
		})
		if old.settled != 0 || next.settled != 1 {
			t.Errorf("settled %d and %d times, want the last one once", old.settled, next.settled)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			old := newFakeLink(est(1))
			b.answer(1, old)
			old.end <- errDown
			b.sleep(time.Second)
			b.answer(2, &wire.Error{Code: wire.CodeNameTaken, Message: "taken"})
			b.wantState(Refused)
			if old.settled != 1 {
				t.Errorf("settled %d times", old.settled)
			}
		})
	})
	t.Run("never online", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) { b.answer(1, errDown) })
	})
}
