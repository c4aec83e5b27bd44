package main

import "runtime"

// heapFloor is how much garbage may gather before it is collected, in bytes, at the
// least. A relay's or an agent's heap is small, and Go would collect it many times a
// second under load, for what requests leave behind.
const heapFloor = 24 << 20

// spareGarbage lets so much gather until release is called. It holds memory that counts
// to the heap, which the collector lets grow to twice its size, but that nobody touches,
// so that it takes none. Unlike a higher GOGC it makes no large heap larger.
func spareGarbage() (release func()) {
	floor := make([]byte, heapFloor)
	return func() { runtime.KeepAlive(floor) }
}
