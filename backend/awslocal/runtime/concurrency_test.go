package runtime_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"culvert/backend/awslocal/runtime"
)

// gate is a function in Go whose invocations wait until they are let go.
type gate struct {
	entered chan string // payloads
	open    chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan string, 100), open: make(chan struct{})} }

func (g *gate) factory(context.Context, map[string]string) (runtime.Handler, error) {
	return func(ctx context.Context, payload []byte) (io.Reader, error) {
		g.entered <- string(payload)
		select {
		case <-g.open:
			return strings.NewReader("done"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, nil
}

func inProcess(t *testing.T, c runtime.Config, factory runtime.Factory) (*runtime.Lambda, *log) {
	t.Helper()
	l := &log{}
	c.Observe = l.report
	if c.Name == "" {
		c.Name = "test"
	}
	if c.Timeout == 0 {
		c.Timeout = runtime.MaxTimeout
	}
	f, err := runtime.InProcess(c, factory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f, l
}

// occupy starts n invocations and waits until they run.
func occupy(t *testing.T, f runtime.Function, g *gate, n int) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if r, err := f.Invoke(context.WithoutCancel(t.Context()), []byte("1")); err != nil || string(r.Payload) != "done" {
				t.Errorf("got %v, %s", err, r.Payload)
			}
		})
	}
	for range n {
		<-g.entered
	}
	return wg.Wait
}

// throttled tries one more invocation, which must not wait for the gate.
func throttled(t *testing.T, f runtime.Function) bool {
	t.Helper()
	_, err := f.Invoke(t.Context(), []byte("2"))
	return errors.Is(err, runtime.ErrThrottled)
}

func TestScalesOutUpToTheAccountsConcurrency(t *testing.T) {
	t.Parallel()
	g := newGate()
	account := runtime.NewAccount(10)
	f, l := inProcess(t, runtime.Config{Account: account}, g.factory)
	other, _ := inProcess(t, runtime.Config{Account: account, Name: "other"}, g.factory)
	wait := occupy(t, f, g, 10)
	if n := f.Environments(); n != 10 {
		t.Errorf("%d environments for 10 invocations at once", n)
	}
	if !throttled(t, f) || !throttled(t, other) {
		t.Error("an eleventh invocation ran")
	}
	close(g.open)
	wait()
	if throttled(t, other) {
		t.Error("throttled with the account idle")
	}
	if got := l.outcomes(); got[0] != runtime.Throttled || len(got) != 11 {
		t.Errorf("reported %v", got)
	}
	if n := f.Environments(); n != 10 {
		t.Errorf("%d environments are kept warm", n)
	}
}

func TestReservedConcurrencyIsOnesOwn(t *testing.T) {
	t.Parallel()
	account := runtime.NewAccount(20)
	g, h := newGate(), newGate()
	capped, _ := inProcess(t, runtime.Config{Account: account, Name: "capped", Reserved: 3}, g.factory)
	free, _ := inProcess(t, runtime.Config{Account: account, Name: "free"}, h.factory)
	waitFree := occupy(t, free, h, 17)
	if !throttled(t, free) {
		t.Error("took what another function has reserved")
	}
	waitCapped := occupy(t, capped, g, 3)
	if !throttled(t, capped) {
		t.Error("ran more than its reservation")
	}
	close(g.open)
	close(h.open)
	waitFree()
	waitCapped()
	if _, err := runtime.InProcess(runtime.Config{Name: "greedy", Account: account, Reserved: 8}, g.factory); err == nil {
		t.Error("a reservation left fewer than 10 unreserved")
	}
	capped.Stop()
	again, err := runtime.InProcess(runtime.Config{Name: "again", Account: account, Reserved: 10}, g.factory)
	if err != nil {
		t.Fatalf("a stopped function's reservation is kept: %v", err)
	}
	again.Stop()
}

func TestStopEndsWhatRuns(t *testing.T) {
	t.Parallel()
	g := newGate()
	f, _ := inProcess(t, runtime.Config{}, g.factory)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := f.Invoke(t.Context(), []byte("1")); !errors.Is(err, runtime.ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
	<-g.entered
	f.Stop()
	wg.Wait()
	f.Stop() // twice does no harm
	if n := f.Environments(); n != 0 {
		t.Errorf("%d environments", n)
	}
}

func TestStopEndsProcesses(t *testing.T) {
	t.Parallel()
	f, _ := start(t, runtime.Config{})
	invoke(t, f, `{"action":"count"}`)
	var wg sync.WaitGroup
	began := make(chan struct{})
	wg.Go(func() {
		close(began)
		if _, err := f.Invoke(t.Context(), []byte(`{"action":"hang"}`)); !errors.Is(err, runtime.ErrStopped) {
			t.Errorf("got %v", err)
		}
	})
	<-began
	f.Stop()
	wg.Wait()
}

// TestObserversMayAsk: a report must not come while the function holds a lock.
func TestObserversMayAsk(t *testing.T) {
	t.Parallel()
	g := newGate()
	var f *runtime.Lambda
	seen := make(chan int, 3)
	f, err := runtime.InProcess(runtime.Config{Name: "test", Account: runtime.NewAccount(1), Timeout: runtime.MaxTimeout,
		Observe: func(runtime.Report) { seen <- f.Environments() }}, g.factory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	wait := occupy(t, f, g, 1)
	if !throttled(t, f) {
		t.Error("ran beyond the account's concurrency")
	}
	if n := <-seen; n != 1 {
		t.Errorf("the observer of a throttle saw %d environments", n)
	}
	close(g.open)
	wait()
	if n := <-seen; n != 1 {
		t.Errorf("the observer of an invocation saw %d environments", n)
	}
}
