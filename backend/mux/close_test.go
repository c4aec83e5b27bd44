package mux

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// Close and Run at the same time: only one of them writes to the socket.
func TestCloseWhileRunBegins(t *testing.T) {
	t.Parallel()
	for range 100 {
		c := New(framed(offline(t), false), Config{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Close(closeNormal, "")
		}()
		for c.ended() == nil {
			runtime.Gosched()
		}
		if err := c.Run(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v", err)
		}
		<-done
	}
}
