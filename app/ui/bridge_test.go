package ui

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// toolkit is Fyne's goroutine: calls wait in a queue until run is called.
type toolkit struct{ queue chan func() }

func newToolkit() *toolkit { return &toolkit{make(chan func(), 1000)} }

func (k *toolkit) do(f func()) { k.queue <- f }

func (k *toolkit) run() (n int) {
	for {
		select {
		case f := <-k.queue:
			f()
			n++
		default:
			return n
		}
	}
}

func TestBridgeDrawsOnlyWhenVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := newToolkit()
		b := newBridge(kit.do)
		defer b.Close()
		frames := 0
		changed := make(chan struct{}, 1)
		b.Run(changed, func() { frames++ })

		time.Sleep(time.Hour)
		if n := kit.run(); n != 0 {
			t.Fatalf("hidden, %d frames were drawn in an hour", n)
		}
		changed <- struct{}{}
		synctest.Wait()
		if kit.run(); frames != 1 {
			t.Fatalf("hidden, a change led to %d frames, want 1: the tray shows it", frames)
		}
		b.SetVisible(true)
		for range 15 {
			time.Sleep(FrameTime)
			synctest.Wait()
			kit.run()
		}
		if frames < 14 || frames > 17 {
			t.Errorf("visible, %d frames in a second, want some 15", frames)
		}
		b.SetVisible(false)
		synctest.Wait()
		kit.run()
		before := frames
		time.Sleep(time.Minute)
		if kit.run(); frames != before {
			t.Errorf("hidden again, %d more frames", frames-before)
		}
	})
}

// A busy toolkit must find one frame waiting, not a backlog; and the last change
// must be drawn after it has come back.
func TestBridgeHasOneFrameInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := newToolkit()
		b := newBridge(kit.do)
		defer b.Close()
		value, drawn := 0, 0
		changed := make(chan struct{}, 1)
		b.Run(changed, func() { drawn = value })
		b.SetVisible(true)
		for range 100 {
			value++
			select {
			case changed <- struct{}{}:
			default:
			}
			time.Sleep(FrameTime)
		}
		synctest.Wait()
		if n := len(kit.queue); n != 1 {
			t.Fatalf("%d frames wait for a toolkit that hangs, want 1", n)
		}
		b.SetVisible(false)
		synctest.Wait()
		kit.run()
		value++
		changed <- struct{}{}
		synctest.Wait()
		kit.run()
		synctest.Wait()
		kit.run()
		if drawn != value {
			t.Errorf("drawn is %d, the last value is %d", drawn, value)
		}
	})
}

// A toolkit that is slow to draw gets half of the time for itself.
func TestBridgeSlowsDownWithTheToolkit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := newToolkit()
		b := newBridge(kit.do)
		defer b.Close()
		frames, each := 0, time.Duration(0)
		b.Run(nil, func() { frames++; time.Sleep(each) })
		b.SetVisible(true)
		slow := func(takes, lasting time.Duration) int {
			before := frames
			each = takes
			for end := time.Now().Add(lasting); time.Now().Before(end); {
				synctest.Wait()
				if kit.run() == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			return frames - before
		}
		if n := slow(100*time.Millisecond, 10*time.Second); n > 51 || n < 30 {
			t.Errorf("frames that take 100 ms come %d times in 10 s", n)
		}
		if n := slow(3*time.Second, 30*time.Second); n < 8 {
			t.Errorf("frames that take 3 s come %d times in 30 s", n)
		}
		if n := slow(time.Millisecond, 10*time.Second); n < 130 {
			t.Errorf("later there are only %d frames in 10 s", n)
		}
	})
}

func TestBridgeRunsWorkAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := newToolkit()
		b := newBridge(kit.do)
		defer b.Close()
		want := errors.New("no")
		var got error
		b.Go(func(context.Context) error { time.Sleep(time.Second); return want }, func(err error) { got = err })
		synctest.Wait()
		if kit.run() != 0 {
			t.Fatal("the answer came before the work was done")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if kit.run(); got != want {
			t.Errorf("the answer is %v, want %v", got, want)
		}
	})
}

func TestBridgeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := newToolkit()
		b := newBridge(kit.do)
		b.Run(nil, func() {})
		b.SetVisible(true)
		ended := false
		b.Go(func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil }, func(error) { t.Error("answered after Close") })
		b.Close() // and synctest reports goroutines that are left
		if !ended {
			t.Error("Close did not wait for the work")
		}
		kit.run()
		b.Post(func() {})
		b.Go(func(context.Context) error { t.Error("work started after Close"); return nil }, nil)
		b.Run(nil, func() {})
		b.SetVisible(true)
		if kit.run() != 0 {
			t.Error("a call came through after Close")
		}
		b.Close()
	})
}
