package clock

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAdvanceCallsInOrder(t *testing.T) {
	t.Parallel()
	c := NewStopped(start)
	var got []string
	note := func(name string) func() {
		return func() { got = append(got, name+" at "+c.Now().Sub(start).String()) }
	}
	c.AfterFunc(2*time.Hour, note("lifetime"))
	c.AfterFunc(10*time.Minute, note("idle"))
	c.AfterFunc(10*time.Minute, note("idle too"))
	stopped := c.AfterFunc(time.Minute, note("stopped"))
	var again Timer
	again = c.AfterFunc(time.Hour, func() {
		note("again")()
		if len(got) < 4 {
			again.Reset(30 * time.Minute)
		}
	})
	if !stopped.Stop() || stopped.Stop() {
		t.Error("Stop tells wrongly whether the call was to come")
	}
	c.Advance(9 * time.Minute)
	if len(got) != 0 {
		t.Errorf("called too early: %v", got)
	}
	c.Advance(2 * time.Hour)
	want := []string{"idle at 10m0s", "idle too at 10m0s", "again at 1h0m0s", "again at 1h30m0s", "lifetime at 2h0m0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c.Pending() != 0 || !c.Now().Equal(start.Add(129*time.Minute)) {
		t.Errorf("%d calls pending, time %v", c.Pending(), c.Now())
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	c := NewStopped(start)
	calls := 0
	timer := c.AfterFunc(time.Minute, func() { calls++ })
	c.Advance(30 * time.Second)
	if !timer.Reset(time.Minute) {
		t.Error("the call was still to come")
	}
	c.Advance(59 * time.Second)
	if calls != 0 {
		t.Error("called before the new time")
	}
	c.Advance(time.Second)
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
	if timer.Reset(time.Second) {
		t.Error("the call had been made")
	}
	c.Advance(time.Second)
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}

func TestStoppedClockCallsAtOnce(t *testing.T) {
	t.Parallel()
	called := make(chan struct{})
	NewStopped(start).AfterFunc(0, func() { close(called) })
	<-called
}

func TestRunningClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewRunning()
		begin := time.Now()
		var called atomic.Int64 // when, in real time from the beginning
		note := func() { called.Store(int64(time.Since(begin))) }
		c.AfterFunc(time.Hour, note)
		early := c.AfterFunc(time.Minute, note)
		early.Stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := time.Duration(called.Load()); got != time.Hour {
			t.Errorf("called after %v, want an hour by itself", got)
		}
		c.AfterFunc(2*time.Hour, note)
		c.Advance(90 * time.Minute)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if got := time.Duration(called.Load()); got != 90*time.Minute {
			t.Errorf("called after %v, want 30 minutes after a move by 90", got)
		}
		if got := c.Now().Sub(begin); got != 3*time.Hour {
			t.Errorf("the clock shows %v, want 3h", got)
		}
	})
}

func TestSleep(t *testing.T) {
	t.Parallel()
	c := NewStopped(start)
	done := make(chan error)
	go func() { done <- Sleep(t.Context(), c, time.Hour) }()
	for c.Pending() == 0 {
		select {
		case err := <-done:
			t.Fatalf("slept not at all: %v", err)
		default:
			runtime.Gosched()
		}
	}
	c.Advance(time.Hour)
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Sleep(ctx, c, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if c.Pending() != 0 {
		t.Error("a timer is left")
	}
}

func TestWithTimeout(t *testing.T) {
	t.Parallel()
	c := NewStopped(start)
	ctx, cancel := WithTimeout(t.Context(), c, time.Minute)
	defer cancel()
	c.Advance(time.Minute)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want deadline exceeded", err)
	}
	ctx, cancel = WithTimeout(t.Context(), c, time.Minute)
	cancel()
	<-ctx.Done()
	if c.Pending() != 0 {
		t.Error("a timer is left")
	}
}

func TestReal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := Sleep(t.Context(), Real(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := Real().Now().Sub(begin); got != time.Minute {
			t.Errorf("slept %v", got)
		}
	})
}
