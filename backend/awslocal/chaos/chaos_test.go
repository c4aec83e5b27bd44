package chaos

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func decisions(s *Source, f Fault, n int) []bool {
	all := make([]bool, n)
	for i := range all {
		all[i] = s.Strike(f)
	}
	return all
}

func TestSeedDecides(t *testing.T) {
	t.Parallel()
	plan := Plan{PostLost: {Probability: 0.3}, MessageLost: {Probability: 0.5}}
	first := decisions(New(7, plan), PostLost, 200)

	second := New(7, plan)
	var mixed []bool
	for range 200 {
		second.Strike(MessageLost)
		second.Delay(PostLost)
		mixed = append(mixed, second.Strike(PostLost))
	}
	if diff := cmp.Diff(first, mixed); diff != "" {
		t.Errorf("other faults changed the sequence:\n%s", diff)
	}
	if cmp.Equal(first, decisions(New(8, plan), PostLost, 200)) {
		t.Error("another seed gives the same sequence")
	}
}

func TestProbability(t *testing.T) {
	t.Parallel()
	for _, p := range []float64{0, 0.05, 0.5, 1} {
		s := New(1, Plan{MessageLost: {Probability: p}})
		const n = 10000
		decisions(s, MessageLost, n)
		if got := float64(s.Struck()[MessageLost]) / n; math.Abs(got-p) > 0.02 {
			t.Errorf("probability %v struck %v of all times", p, got)
		}
	}
}

func TestForce(t *testing.T) {
	t.Parallel()
	s := New(1, nil)
	s.Force(PostLimited, 2)
	if diff := cmp.Diff([]bool{true, true, false, false}, decisions(s, PostLimited, 4)); diff != "" {
		t.Error(diff)
	}
	if s.Strike(PostLost) {
		t.Error("a fault struck that nobody asked for")
	}
	if diff := cmp.Diff(map[Fault]int{PostLimited: 2}, s.Struck()); diff != "" {
		t.Error(diff)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	s := New(1, nil)
	s.Set(PostLost, Setting{Probability: 1, Delay: time.Second})
	if !s.Strike(PostLost) {
		t.Error("a certain fault did not strike")
	}
	for range 100 {
		if d := s.Delay(PostLost); d < 0 || d >= time.Second {
			t.Fatalf("delay %v, want one below a second", d)
		}
	}
	if d := s.Delay(PostLimited); d != 0 {
		t.Errorf("delay %v of a fault that has none", d)
	}
}

// A plan handed out must not be changed by what is set later, nor the other way.
func TestPlanIsCopied(t *testing.T) {
	t.Parallel()
	plan := Plan{}
	s := New(1, plan)
	s.Set(PostLost, Setting{Probability: 1})
	if len(plan) != 0 {
		t.Error("the caller's plan was changed")
	}
}

func TestNilSource(t *testing.T) {
	t.Parallel()
	var s *Source
	if s.Strike(PostLost) || s.Delay(PostLost) != 0 || s.Struck() != nil {
		t.Error("a nil source misbehaves")
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	for f, setting := range Default() {
		if setting.Probability <= 0 || setting.Probability > 1 || setting.Delay < 0 {
			t.Errorf("%s: %+v", f, setting)
		}
	}
}
