package link

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestSeenIDsAreBounded(t *testing.T) {
	t.Parallel()
	var s seenIDs
	for i := range 3 * seenMax {
		if !s.first(fmt.Sprint(i)) {
			t.Fatalf("%d is new", i)
		}
	}
	if len(s.at) != seenMax || len(s.ring) != seenMax {
		t.Errorf("%d remembered, %d in order, want %d", len(s.at), len(s.ring), seenMax)
	}
	if s.first(fmt.Sprint(2 * seenMax)) {
		t.Error("the oldest of the last ones was forgotten")
	}
	if !s.first("0") {
		t.Error("the oldest was kept")
	}
}

// IDs of a backend that has declared nothing may be used anew; those of another one
// are not, however long it takes.
func TestSeenIDsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s seenIDs
		s.first("a")
		s.firstLately("b")
		time.Sleep(seenFor - 1)
		if s.first("a") || s.firstLately("b") {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Nanosecond)
		if s.first("a") || !s.firstLately("b") || s.firstLately("b") {
			t.Error("after 2 minutes")
		}
		time.Sleep(24 * time.Hour)
		if s.first("a") || !s.has("a") {
			t.Error("forgotten after a day")
		}
	})
}

// What is not remembered has never come only if nothing of its time was forgotten.
func TestNeverSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s seenIDs
		if !s.never("x") {
			t.Error("at first")
		}
		for i := range seenMax {
			s.first(fmt.Sprint(i))
		}
		if !s.never("x") || s.never("0") {
			t.Error("nothing was forgotten yet")
		}
		time.Sleep(seenFor - 1)
		s.first("one more")
		if s.never("x") || s.never("0") {
			t.Error("one was forgotten that may be meant")
		}
		time.Sleep(time.Nanosecond)
		if !s.never("x") {
			t.Error("what was forgotten is too old to be meant")
		}
	})
}
