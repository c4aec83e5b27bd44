package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// listenForSignals gives the signals that end the program. Writing to a closed
// pipe becomes an error like any other: losing the reader of the log must not
// kill a tunnel.
func listenForSignals() (signals <-chan os.Signal, stop func()) {
	ch := make(chan os.Signal, 2)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	return ch, func() {
		signal.Stop(ch)
		signal.Reset(syscall.SIGPIPE)
	}
}

// sameSignal is how long a signal may echo: whoever signals a process and its
// group, as timeout(1) and terminals do, means one signal and not two.
const sameSignal = 500 * time.Millisecond

// untilSecond is for cleaning up after a first signal: it ends after the time
// that is allowed for that, or at a second signal.
func untilSecond(signals <-chan os.Signal, allowed time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(context.Background(), allowed)
	first := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-signals:
				if time.Since(first) >= sameSignal {
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// signalName is how people know the signals.
func signalName(s os.Signal) string {
	switch s {
	case os.Interrupt:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return s.String()
}
