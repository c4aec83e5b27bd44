package session

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatcher(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(m *fakeMachine)
		want []Event
	}{
		{"nothing", func(*fakeMachine) {}, nil},
		{"a small step of the clock", func(m *fakeMachine) { m.sleep(5 * time.Second) }, nil},
		{"a sleep", func(m *fakeMachine) { m.sleep(6 * time.Second) }, []Event{Woke}},
		{"a clock set back", func(m *fakeMachine) { m.sleep(-6 * time.Second) }, []Event{Woke}},
		{"another address", func(m *fakeMachine) { m.move("192.0.2.9/24") }, []Event{NetworkChanged}},
		{"no address", func(m *fakeMachine) { m.move() }, []Event{NetworkChanged}},
		{"the same in another order", func(m *fakeMachine) {
			m.move("192.0.2.1/24", "192.0.2.1/24", "127.0.0.1/8")
		}, nil},
		{"a container's interface", func(m *fakeMachine) { m.move("192.0.2.1/24", "fe80::1/64", "169.254.1.1/16", "::1/128") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newFakeMachine()
				w := NewWatcher(m.config())
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { w.Run(ctx) })
				first, cancelFirst := w.Subscribe()
				second, cancelSecond := w.Subscribe()
				defer cancelFirst()
				time.Sleep(10 * time.Second)
				tt.do(m)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				for _, ch := range []<-chan Event{first, second} {
					var got []Event
					for len(ch) > 0 {
						got = append(got, <-ch)
					}
					if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] {
						t.Errorf("events %v, want %v", got, tt.want)
					}
				}
				cancelSecond()
				m.sleep(time.Hour)
				time.Sleep(2 * time.Second)
				if len(first) != 1 || len(second) != 0 {
					t.Errorf("after one has left: %d and %d events, want 1 and 0", len(first), len(second))
				}
				cancel()
				wg.Wait()
			})
		})
	}
}

// A monotonic clock that goes on during sleep shows it by a late look only.
func TestWatcherNoticesALateLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var slept time.Duration
		start := time.Now()
		w := NewWatcher(WatchConfig{
			Interval: time.Second,
			Clock: func() (time.Time, time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(slept), time.Since(start) + slept
			},
			Addrs: func() ([]net.Addr, error) { return nil, errors.New("not readable") },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.Run(ctx) })
		events, unsubscribe := w.Subscribe()
		defer unsubscribe()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(events) != 0 {
			t.Error("an event out of nothing")
		}
		mu.Lock()
		slept = time.Hour
		mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(events) != 1 || <-events != Woke {
			t.Error("the sleep went unnoticed")
		}
		cancel()
		wg.Wait()
	})
}

func TestWatcherReadsThisMachine(t *testing.T) {
	t.Parallel()
	w := NewWatcher(WatchConfig{})
	wall, mono := w.cfg.Clock()
	if d := time.Since(wall).Abs(); d > time.Minute || mono < 0 {
		t.Errorf("clock says %v, %v", wall, mono)
	}
	if a, b := w.addrs("x"), w.addrs("x"); a != b {
		t.Errorf("two looks differ: %q, %q", a, b)
	}
}
