package main

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// When what has come is over, memory goes back; and nothing is left behind in the end.
func TestSparedGarbageGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forced := func() uint32 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.NumForcedGC
		}
		release := spareGarbage() // what it holds is enough to be worth it
		before := forced()
		time.Sleep(lookEvery + time.Second)
		synctest.Wait()
		first := forced()
		if first == before {
			t.Error("nothing goes back while nothing happens")
		}
		time.Sleep(10 * lookEvery)
		synctest.Wait()
		if again := forced(); again != first {
			t.Errorf("%d collections more for nothing", again-first)
		}
		release() // or the bubble would not end
	})
}
