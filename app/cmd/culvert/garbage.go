package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapFloor is how much garbage may gather before it is collected, in bytes, at the
	// least. A relay's or an agent's heap is small, and Go would collect it many times a
	// second under load, for what requests leave behind.
	heapFloor = 24 << 20
	// busyRate is from how much new memory in a second on that is worth it, in bytes.
	busyRate = 1 << 20
	// lookEvery is how often that is looked at.
	lookEvery = 5 * time.Second
)

// spareGarbage lets so much gather while there is much to do, until release is called.
// When that is over, memory goes back to the system.
func spareGarbage() (release func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		// Memory that counts to the heap, which the collector lets grow to twice its size,
		// but that nobody touches, so that it takes none. Unlike a higher GOGC it makes no
		// large heap larger.
		floor := make([]byte, heapFloor)
		var returned uint64 // what was allocated when memory last went back
		for last := allocated(); ; {
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
			now := allocated()
			busy := now-last > busyRate*uint64(lookEvery/time.Second)
			last = now
			switch {
			case busy && floor == nil:
				floor = make([]byte, heapFloor)
			case !busy && now-returned > heapFloor: // so that it is worth a collection
				floor, returned = nil, now
				debug.FreeOSMemory()
			}
			runtime.KeepAlive(floor)
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

// allocated is how much memory was asked for since the start, in bytes.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
