package wsframe

import (
	"bufio"
	"net"
	"testing"
	"time"
)

// What a connection reads into is small while only pings come, large for messages, and
// not made anew for each ping between them.
func TestBufferFits(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c, peer := New(near, nil, false, 1<<20), New(far, nil, true, 1<<20)
	type read struct {
		op Opcode
		in *bufio.Reader // what it was read with
	}
	got := make(chan read)
	c.OnPing = func([]byte) { got <- read{Ping, c.in} }
	go func() {
		for {
			op, err := c.Next()
			if err != nil {
				return
			}
			got <- read{op, c.in}
		}
	}()
	last := c.in
	for i, step := range []struct {
		op   Opcode
		size int // while this frame is being read
		same bool
	}{
		{Ping, idleBuffer, true}, {Binary, idleBuffer, true}, {Ping, BufferSize, false}, {Binary, BufferSize, true},
		{Ping, BufferSize, true}, {Ping, BufferSize, true}, {Ping, idleBuffer, false}, {Text, idleBuffer, true}, {Text, BufferSize, false},
	} {
		if err := peer.WriteSmall(step.op, []byte("x"), time.Minute); err != nil {
			t.Fatal(err)
		}
		r := <-got
		if r.op != step.op || r.in.Size() != step.size || (r.in == last) != step.same {
			t.Errorf("frame %d: opcode %d was read into %d bytes, want %d; the same as before: %v", i, r.op, r.in.Size(), step.size, r.in == last)
		}
		last = r.in
	}
}
