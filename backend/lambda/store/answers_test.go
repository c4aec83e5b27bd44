package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/store"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	ctx := t.Context()
	expires := c.Now().Add(30 * time.Second)
	put := func(key string, part int, message string, first bool) {
		t.Helper()
		got, err := s.PutAnswer(ctx, key, part, []byte(message), expires)
		if err != nil || got != first {
			t.Errorf("part %d: first %v, %v; want %v", part, got, err, first)
		}
	}
	put("k", 2, `{"two":2}`, true)
	put("k", store.PartRequest+7, "request", true)
	put("k", 0, "head \"quoted\" ü\n", true)
	put("k", store.PartError, "error", true)
	put("k", 0, "another head", false)
	put("other", 0, "other", true)
	all := []store.Answer{
		{Part: 0, Message: []byte("head \"quoted\" ü\n")}, {Part: 2, Message: []byte(`{"two":2}`)},
		{Part: store.PartError, Message: []byte("error")}, {Part: store.PartRequest + 7, Message: []byte("request")},
	}
	for from, want := range map[int][]store.Answer{0: all, 1: all[1:], 3: all[2:]} {
		got, err := s.GetAnswers(ctx, "k", store.From(from), from == 0)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("from %d: %v (-want +got):\n%s", from, err, diff)
		}
	}
	for _, c := range []struct {
		spans []store.Span
		want  []store.Answer
	}{
		{[]store.Span{{From: 0, Below: 1}}, all[:1]},
		{[]store.Span{{From: 0, Below: 2}}, all[:1]},
		{[]store.Span{{From: 1, Below: 3}, {From: store.PartError, Below: store.PartError + 1}}, all[1:3]},
		{[]store.Span{{From: 0, Below: 1}, {From: 3}}, []store.Answer{all[0], all[2], all[3]}},
		{nil, nil},
	} {
		got, err := s.GetAnswers(ctx, "k", c.spans, true)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", c.spans, err, diff)
		}
	}
	if got, err := s.GetAnswers(ctx, "none", store.From(0), true); err != nil || len(got) > 0 {
		t.Errorf("no answer: %v, %v", got, err)
	}
	if _, err := s.PutAnswer(ctx, "big", 0, bytes.Repeat([]byte("a"), 351<<10), expires); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	// Late answers make no items; old ones are not read, though they are still there.
	rows := db.items(t, db.names.Answers)
	c.Advance(30 * time.Second)
	if _, err := s.PutAnswer(ctx, "late", 0, []byte("late"), expires); !errors.Is(err, store.ErrExpired) {
		t.Errorf("late: %v", err)
	}
	if n := db.items(t, db.names.Answers); n != rows {
		t.Errorf("%d items after a late answer, %d before", n, rows)
	}
	c.Advance(5 * time.Minute)
	if got, err := s.GetAnswers(ctx, "k", store.From(0), true); err != nil || len(got) > 0 {
		t.Errorf("old answers: %v, %v", got, err)
	}
}

func TestLongAnswer(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	const parts, size = 70, 127 << 10
	message := bytes.Repeat([]byte("m"), size)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for part := range parts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, err := s.PutAnswer(t.Context(), "k", part, message, c.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.GetAnswers(t.Context(), "k", store.From(0), true)
	if err != nil || len(got) != parts {
		t.Fatalf("%d parts, %v; want %d", len(got), err, parts)
	}
	for n, a := range got {
		if a.Part != n || len(a.Message) != size {
			t.Fatalf("part %d comes as %d, with %d bytes", n, a.Part, len(a.Message))
		}
	}
	if len(db.queries) < 2 {
		t.Error("it was one page, which proves nothing")
	}
}

func TestOneAnswerIsFirst(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	var firsts atomic.Int32
	var wg sync.WaitGroup
	var winner atomic.Value
	for i := range 8 {
		wg.Go(func() {
			message := fmt.Sprint("answer ", i)
			first, err := s.PutAnswer(t.Context(), "k", 0, []byte(message), c.Now().Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
				winner.Store(message)
			}
		})
	}
	wg.Wait()
	got, err := s.GetAnswers(t.Context(), "k", store.From(0), true)
	if err != nil || firsts.Load() != 1 || len(got) != 1 || string(got[0].Message) != winner.Load() {
		t.Errorf("%d were first; stored %+v, %v; want %q", firsts.Load(), got, err, winner.Load())
	}
}
