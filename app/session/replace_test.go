package session

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/wire"
)

func TestReplacementBeforeMaximumAge(t *testing.T) {
	t.Parallel()
	noJitter := func(time.Duration) time.Duration { return 0 }
	run(t, Config{Jitter: noJitter}, func(b *bench) {
		old := newFakeLink(aged(est(1), 2*time.Hour))
		b.answer(1, old)
		b.sleep(110*time.Minute - 1)
		b.lastTry(1)
		b.sleep(1)
		if h := b.lastTry(2).hello; h.Resume != "secret" || h.Epoch != 1 {
			t.Errorf("hello = %+v", h)
		}
		b.wantState(Online)
		next := newFakeLink(aged(est(2), 2*time.Hour))
		b.answer(2, next)
		st := b.wantState(Online)
		if st.Established.Epoch != 2 {
			t.Errorf("epoch %d, want the successor's", st.Established.Epoch)
		}
		if got := time.Since(st.Since); got != 110*time.Minute {
			t.Errorf("online for %v: a replacement is no interruption", got)
		}
		b.sleep(20 * time.Second)
		if old.isClosed() {
			t.Error("the old connection was closed with requests under way")
		}
		close(old.idle)
		synctest.Wait()
		if !old.isClosed() {
			t.Error("the old connection outlives its last request")
		}
		b.sleep(90*time.Minute - 1)
		b.lastTry(2)
		b.wantHistory("Connecting", "Online http://relay/shop", "Online http://relay/shop")
		if next.isClosed() {
			t.Error("the successor is closed")
		}
	})
}

func TestReplacementIsSpreadBeforeTheEnd(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) { // the latest jitter is the earliest replacement
		b.answer(1, newFakeLink(aged(est(1), 2*time.Hour)))
		b.sleep(105*time.Minute - 2)
		b.lastTry(1)
		b.sleep(2)
		b.lastTry(2)
	})
}

func TestTinyMaximumAgeIsNoLoop(t *testing.T) {
	t.Parallel()
	run(t, Config{DrainTimeout: time.Second}, func(b *bench) {
		for i := range 9 {
			b.answer(i+1, newFakeLink(aged(est(int64(i+1)), time.Millisecond)))
			b.wantState(Online)
			pause := min(time.Second<<i, time.Minute)
			b.sleep(pause - 1)
			b.lastTry(i + 1)
			b.sleep(1)
			b.lastTry(i + 2)
		}
	})
}

func TestOldConnectionEndsInTime(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(aged(est(1), time.Hour))
		b.answer(1, old)
		b.sleep(52*time.Minute + 30*time.Second)
		b.answer(2, newFakeLink(est(2)))
		b.sleep(35*time.Second - 1)
		if old.isClosed() {
			t.Error("closed before its time")
		}
		b.sleep(1)
		if !old.isClosed() {
			t.Error("still there after its time, with a request that never ends")
		}
		b.wantState(Online)
	})
}

func TestFailedReplacementKeepsTheOldConnection(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(aged(est(1), 2*time.Hour))
		b.answer(1, old)
		b.sleep(105 * time.Minute)
		b.answer(2, errDown)
		b.wantState(Online)
		b.sleep(time.Second)
		b.answer(3, errDown)
		b.sleep(2 * time.Second)
		b.lastTry(4)
		old.end <- errDown // its end comes while the fourth dial is under way
		b.sleep(successorGrace - 1)
		b.wantState(Online)
		b.sleep(1)
		if st := b.wantState(Reconnecting); st.NextTry.After(time.Now()) {
			t.Errorf("next try in %v, but a dial is under way", time.Until(st.NextTry))
		}
		b.answer(4, newFakeLink(est(2)))
		b.wantState(Online)
		b.wantHistory("Connecting", "Online http://relay/shop", "Reconnecting 1: connection refused", "Online http://relay/shop")
	})
}

// A backend closes the old connection once it has greeted on the new one; which
// of the two is read first is chance.
func TestOldConnectionEndsJustBeforeTheGreetingIsRead(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"closed":   errors.New("the backend closed the connection: replaced as planned"),
		"replaced": &wire.Error{Code: wire.CodeReplaced, Message: "taken over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				old := newFakeLink(aged(est(1), 2*time.Hour))
				b.answer(1, old)
				b.sleep(105 * time.Minute)
				old.end <- err
				b.sleep(successorGrace - 1)
				b.answer(2, newFakeLink(est(2)))
				b.sleep(time.Minute)
				b.wantState(Online)
				b.wantHistory("Connecting", "Online http://relay/shop", "Online http://relay/shop")
			})
		})
	}
}

func TestWakeUpBetweenConnections(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(aged(est(1), 2*time.Hour))
		b.answer(1, old)
		b.sleep(105*time.Minute + 700*time.Millisecond)
		b.lastTry(2)
		b.network.sleep(time.Minute)
		old.end <- errDown
		b.sleep(299 * time.Millisecond)
		b.wantState(Online)
		b.sleep(time.Millisecond) // the watcher looks before successorGrace is over
		if st := b.wantState(Reconnecting); st.Cause == nil || !st.NextTry.Equal(time.Now()) {
			t.Errorf("status = %+v", st)
		}
		b.answer(3, newFakeLink(est(2)))
		b.wantState(Online)
		b.wantHistory("Connecting", "Online http://relay/shop", "Reconnecting 1: connection refused", "Online http://relay/shop")
	})
}

func TestRefusedReplacementKeepsTheOldConnection(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(aged(est(1), 2*time.Hour))
		b.answer(1, old)
		b.sleep(105 * time.Minute)
		expired := &wire.Error{Code: wire.CodeUnauthorized, Message: "the token has expired"}
		b.answer(2, expired)
		b.sleep(14 * time.Minute)
		b.wantState(Online)
		b.lastTry(2)
		old.end <- errDown
		b.sleep(time.Second)
		b.answer(3, expired)
		if err := <-b.done; err != error(expired) {
			t.Errorf("Run = %v, want the refusal", err)
		}
	})
}

func TestReplacedOnASupersededConnectionIsNoNews(t *testing.T) {
	t.Parallel()
	replaced := &wire.Error{Code: wire.CodeReplaced, Message: "taken over"}
	t.Run("after the successor", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			old := newFakeLink(aged(est(1), 2*time.Hour))
			b.answer(1, old)
			b.sleep(105 * time.Minute)
			b.answer(2, newFakeLink(est(2)))
			old.end <- replaced
			b.sleep(time.Minute)
			b.wantState(Online)
			b.lastTry(2)
		})
	})
	t.Run("before the successor's greeting is read", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			old := newFakeLink(aged(est(1), 2*time.Hour))
			b.answer(1, old)
			b.sleep(105 * time.Minute)
			b.lastTry(2)
			old.end <- replaced
			b.sleep(time.Second)
			b.wantState(Reconnecting)
			next := newFakeLink(est(2))
			b.answer(2, next)
			b.wantState(Online)
			next.end <- errDown // what was said about the old one is forgotten
			b.sleep(2 * time.Second)
			b.answer(3, errDown)
			b.wantState(Reconnecting)
		})
	})
	t.Run("and the successor fails", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			old := newFakeLink(aged(est(1), 2*time.Hour))
			b.answer(1, old)
			b.sleep(105 * time.Minute)
			old.end <- replaced
			synctest.Wait()
			b.answer(2, errDown)
			if err := <-b.done; err != error(replaced) {
				t.Errorf("Run = %v, want replaced", err)
			}
		})
	})
}

func TestGoingAwayStartsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(est(1))
		b.answer(1, old)
		b.sleep(time.Minute)
		close(old.going)
		b.sleep(time.Second)
		b.lastTry(2)
		b.wantState(Online)
		next := newFakeLink(est(2))
		b.answer(2, next)
		b.wantState(Online)
		if old.isClosed() {
			t.Error("the old connection was not drained")
		}
		// A backend that says it again and again is not asked again and again.
		close(next.going)
		b.sleep(2*time.Second - 1)
		b.lastTry(2)
		b.sleep(1)
		b.lastTry(3)
	})
}

func TestAnnouncedEndCountsOnce(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		l := newFakeLink(est(1))
		b.answer(1, l)
		b.sleep(time.Second) // young: nothing is forgotten
		close(l.going)
		synctest.Wait()
		l.end <- errDown
		synctest.Wait()
		if st := b.wantState(Reconnecting); st.Attempt != 1 || time.Until(st.NextTry) != time.Second {
			t.Errorf("attempt %d in %v, want 1 in 1 s", st.Attempt, time.Until(st.NextTry))
		}
	})
}

func TestGoingAwayWithoutResumeWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(wire.Established{TunnelID: "a", PublicURL: "http://relay/a"})
		b.answer(1, old)
		b.sleep(time.Minute)
		close(old.going)
		b.sleep(10 * time.Second)
		b.lastTry(1)
		old.end <- errors.New("it stops or restarts")
		b.sleep(time.Second)
		b.lastTry(2)
	})
}

func TestRelayRestartCostsLittle(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		old := newFakeLink(est(1))
		b.answer(1, old)
		b.sleep(time.Minute)
		lost := time.Now()
		close(old.going)
		b.sleep(time.Second)
		b.answer(2, errDown) // it does not listen any more
		old.end <- errDown
		synctest.Wait()
		for n := 3; ; n++ { // it listens again after 3 s
			b.sleep(time.Until(b.s.Status().NextTry))
			if time.Since(lost) >= 3*time.Second {
				b.answer(n, newFakeLink(est(2)))
				break
			}
			b.answer(n, errDown)
		}
		b.wantState(Online)
		if took := time.Since(lost); took > 6*time.Second {
			t.Errorf("online %v after the loss", took)
		}
	})
}

func TestAFewOldConnectionsDrainAtMost(t *testing.T) {
	t.Parallel()
	run(t, Config{DrainTimeout: time.Hour}, func(b *bench) {
		var links []*fakeLink
		for i := range 4 {
			l := newFakeLink(est(int64(i + 1)))
			links = append(links, l)
			b.answer(i+1, l)
			if i < 3 {
				b.sleep(time.Minute)
				close(l.going)
				b.sleep(time.Second)
			}
		}
		for i, want := range []bool{true, false, false, false} {
			if got := links[i].isClosed(); got != want {
				t.Errorf("connection %d closed = %v, want %v", i+1, got, want)
			}
		}
	})
}

func TestWakeUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		event func(b *bench)
		said  string
	}{
		{"sleep", func(b *bench) { b.network.sleep(time.Hour) }, "after wake-up"},
		{"clock set back", func(b *bench) { b.network.sleep(-time.Minute) }, "after wake-up"},
		{"other network", func(b *bench) { b.network.move("198.51.100.7/24") }, "after the network changed"},
	} {
		t.Run(tt.name+", connection silent", func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				l := newFakeLink(est(1))
				b.answer(1, l)
				b.sleep(10 * time.Minute)
				tt.event(b)
				b.sleep(time.Second) // the watcher's next look
				if l.probeCount() != 1 {
					t.Fatalf("%d probes, want 1", l.probeCount())
				}
				b.sleep(5*time.Second - 1)
				b.wantState(Online)
				b.sleep(1)
				b.lastTry(2) // at once
				st := b.wantState(Reconnecting)
				want := "no sign of life from the backend " + tt.said
				if st.Attempt != 1 || st.Cause.Error() != want {
					t.Errorf("status = %+v", st)
				}
				if !l.isClosed() {
					t.Error("the dead connection was kept")
				}
			})
		})
		t.Run(tt.name+", connection alive", func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				l := newFakeLink(est(1))
				l.probe <- nil
				b.answer(1, l)
				b.sleep(10 * time.Minute)
				tt.event(b)
				b.sleep(time.Minute)
				b.wantState(Online)
				b.lastTry(1)
				if l.probeCount() != 1 {
					t.Errorf("%d probes, want 1", l.probeCount())
				}
			})
		})
		t.Run(tt.name+", while waiting", func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				for i := range 7 {
					b.answer(i+1, errDown)
					if i < 6 {
						b.sleep(time.Second << i)
					}
				}
				b.sleep(10 * time.Second) // of 60
				tt.event(b)
				b.sleep(time.Second)
				if st := b.wantState(Reconnecting); st.Attempt != 1 || !st.NextTry.Equal(time.Now()) {
					t.Errorf("status = %+v, want attempt 1, now", st)
				}
				b.answer(8, errDown)
				if st := b.wantState(Reconnecting); st.Attempt != 2 || time.Until(st.NextTry) != 2*time.Second {
					t.Errorf("status = %+v, want attempt 2 in 2 s", st)
				}
			})
		})
		t.Run(tt.name+", while dialling", func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				stale := b.lastTry(1)
				tt.event(b)
				b.sleep(time.Second)
				b.answer(2, newFakeLink(est(1)))
				b.wantState(Online)
				late := newFakeLink(est(9))
				stale.reply <- late
				b.sleep(time.Minute)
				if st := b.wantState(Online); st.Established.Epoch != 1 {
					t.Errorf("epoch %d: the stale dial won", st.Established.Epoch)
				}
			})
		})
	}
}

func TestConnectionThatNobodyWaitsForIsClosed(t *testing.T) {
	t.Parallel()
	run(t, Config{}, func(b *bench) {
		b.deaf = true
		b.answer(1, errDown)
		b.sleep(time.Second)
		stale := b.lastTry(2)
		b.network.sleep(time.Hour)
		b.sleep(time.Second)
		current := newFakeLink(est(2))
		b.answer(3, current)
		late := newFakeLink(est(1))
		stale.reply <- late
		synctest.Wait()
		if !late.isClosed() || current.isClosed() {
			t.Errorf("late closed: %v, current closed: %v", late.isClosed(), current.isClosed())
		}
		// The same when the session stops meanwhile.
		close(current.going)
		b.sleep(2 * time.Second)
		last := newFakeLink(est(3))
		waiting := b.lastTry(4)
		b.cancel()
		synctest.Wait()
		waiting.reply <- last
		if err := <-b.done; err != nil {
			t.Errorf("Run = %v", err)
		}
		if !last.isClosed() {
			t.Error("a connection outlives the session")
		}
	})
}

func TestSilenceThatProvesNothing(t *testing.T) {
	t.Parallel()
	unsure := fmt.Errorf("%w: owes no answer", errors.ErrUnsupported)
	t.Run("is settled by a successor", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			l := newFakeLink(est(1))
			l.probe <- unsure
			b.answer(1, l)
			b.network.sleep(time.Hour)
			b.sleep(time.Second)
			b.wantState(Online)
			b.answer(2, newFakeLink(est(2)))
			if st := b.wantState(Online); st.Established.Epoch != 2 {
				t.Errorf("epoch %d, want the successor's", st.Established.Epoch)
			}
		})
	})
	t.Run("but not at the price of the URL", func(t *testing.T) {
		t.Parallel()
		run(t, Config{}, func(b *bench) {
			l := newFakeLink(wire.Established{TunnelID: "a", PublicURL: "https://x/a"})
			l.probe <- unsure
			b.answer(1, l)
			b.network.sleep(time.Hour)
			b.sleep(time.Minute)
			b.wantState(Online)
			b.lastTry(1)
		})
	})
}

func TestReplacementThatCameDueDuringSleep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		slept time.Duration
		dials int
	}{
		{90 * time.Minute, 1},
		{104*time.Minute + 30*time.Second, 2},
	} {
		t.Run(tt.slept.String(), func(t *testing.T) {
			t.Parallel()
			run(t, Config{}, func(b *bench) {
				l := newFakeLink(aged(est(1), 2*time.Hour))
				l.probe <- nil
				b.answer(1, l)
				b.sleep(time.Minute)
				b.network.sleep(tt.slept)
				b.sleep(time.Second)
				b.lastTry(tt.dials)
				b.wantState(Online)
			})
		})
	}
}
