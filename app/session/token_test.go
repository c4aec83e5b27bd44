package session

import (
	"testing"
	"time"

	"culvert/backend/wire"
)

// TestConnectionsThatEndTogether: where a successor gains nothing there is one, and no
// other before there is another token.
func TestConnectionsThatEndTogether(t *testing.T) {
	t.Parallel()
	run(t, Config{Jitter: noJitter}, func(b *bench) {
		b.answer(1, newFakeLink(aged(est(1), time.Hour)))
		b.sleep(55 * time.Minute)
		second := newFakeLink(aged(est(2), 5*time.Minute-2*time.Second)) // slow on the way
		b.answer(2, second)
		b.sleep(4 * time.Minute)
		b.lastTry(2)
		second.renewed.Store(true)
		b.sleep(renewInterval)
		b.answer(3, errDown)
		b.sleep(time.Second) // comes again, as after any failure
		b.answer(4, newFakeLink(aged(est(3), time.Hour)))
		b.wantState(Online)
		b.sleep(55*time.Minute - 1)
		b.lastTry(4) // its end is another one
		b.sleep(1)
		b.lastTry(5)
		b.wantHistory("Connecting", "Online http://relay/shop", "Online http://relay/shop", "Online http://relay/shop")
	})
}

// TestSuccessorWithAnExpiredToken is refused; the connection that there is goes on, and
// gets a successor when there is another token.
func TestSuccessorWithAnExpiredToken(t *testing.T) {
	t.Parallel()
	run(t, Config{Jitter: noJitter}, func(b *bench) {
		only := newFakeLink(aged(est(1), time.Hour))
		b.answer(1, only)
		b.sleep(55 * time.Minute)
		b.answer(2, &wire.Error{Code: wire.CodeUnauthorized, Message: "the token has expired"})
		b.sleep(3 * time.Minute)
		b.lastTry(2)
		only.renewed.Store(true)
		b.sleep(renewInterval)
		b.answer(3, newFakeLink(aged(est(2), time.Hour)))
		b.wantState(Online)
		b.sleep(time.Minute)
		b.lastTry(3)
	})
}

// TestConnectionsWithALimitedAge gain what the ones before have lived, and are replaced
// all the time.
func TestConnectionsWithALimitedAge(t *testing.T) {
	t.Parallel()
	run(t, Config{Jitter: noJitter}, func(b *bench) {
		for i := range 5 {
			b.answer(i+1, newFakeLink(aged(est(int64(i+1)), time.Hour+time.Duration(i%2)*time.Second)))
			b.sleep(55*time.Minute + 30*time.Second)
			b.lastTry(i + 2)
		}
	})
}

// TestAwakeNearTheEndOfAToken looks for a token before anything else.
func TestAwakeNearTheEndOfAToken(t *testing.T) {
	t.Parallel()
	run(t, Config{Jitter: noJitter}, func(b *bench) {
		b.answer(1, newFakeLink(aged(est(1), time.Hour)))
		b.sleep(55 * time.Minute)
		second := newFakeLink(aged(est(2), 5*time.Minute))
		b.answer(2, second)
		second.probe <- nil
		b.network.sleep(5 * time.Minute)
		b.sleep(2 * time.Second)
		if second.probeCount() != 1 {
			t.Error("the event was not noticed")
		}
		b.lastTry(2)
	})
}

// TestEndIsReadBeforeTheSuccessor: backends close the old connection once they have
// greeted on the new one, and which is read first is chance.
func TestEndIsReadBeforeTheSuccessor(t *testing.T) {
	t.Parallel()
	run(t, Config{Jitter: noJitter}, func(b *bench) {
		old := newFakeLink(aged(est(1), time.Hour))
		b.answer(1, old)
		b.sleep(55 * time.Minute)
		old.end <- errDown
		b.sleep(time.Millisecond)
		b.answer(2, newFakeLink(aged(est(2), 5*time.Minute)))
		b.sleep(5 * time.Minute)
		b.lastTry(2)
	})
}

func noJitter(time.Duration) time.Duration { return 0 }
