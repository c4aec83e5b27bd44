// Package chaos decides when the stand-in misbehaves: which message is lost, which
// post is accepted and dropped, which environment dies. AWS documents every
// one of these faults or leaves room for it; a backend has to bear them all.
//
// Each fault draws from a sequence of its own, so that with one seed the nth
// decision about a fault is always the same, however often others are asked
// about. Which message the nth decision is about still depends on the scheduler.
package chaos

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// Fault is one kind of misbehaviour.
type Fault string

// Faults of WebSocket APIs.
const (
	// MessageHeld holds a client's message back for a moment: messages come in any order.
	MessageHeld       Fault = "message held"
	MessageLost       Fault = "message lost"
	MessageDuplicated Fault = "message duplicated"
	// MessageThrottled loses a client's message and tells the client so, as a
	// throttled integration does.
	MessageThrottled Fault = "message throttled"
	// DialRefused answers a handshake with 429 before $connect is run.
	DialRefused Fault = "dial refused"
	// GoneAtFirst answers posts to a new connection with 410 until a moment after its first message.
	GoneAtFirst Fault = "gone at first"
	// PostLost accepts a post (200) and drops it.
	PostLost Fault = "post lost"
	// PostLimited answers a post with 429, LimitExceededException.
	PostLimited Fault = "post limited"
	// SocketKilled cuts a client's TCP connection in place of delivering a post (200).
	SocketKilled Fault = "socket killed"
	// PeerHung stops reading from and writing to a client, for ever, in place of delivering a post (200).
	PeerHung           Fault = "peer hung"
	DisconnectLate     Fault = "$disconnect late"
	DisconnectLost     Fault = "$disconnect lost"
	DisconnectRepeated Fault = "$disconnect repeated"
)

// Faults of Lambda, its HTTP front and its queues.
const (
	// InvokeThrottled refuses an invocation as if the concurrency were used up.
	InvokeThrottled Fault = "invocation throttled"
	// InvokeDelayed holds an invocation back for a moment.
	InvokeDelayed Fault = "invocation delayed"
	// EnvironmentRetired ends an environment after an invocation: the next one starts cold.
	EnvironmentRetired Fault = "environment retired"
	// EnvironmentKilled kills an environment in the middle of an invocation.
	EnvironmentKilled Fault = "environment killed"
	// BatchRepeated delivers a batch from a queue twice.
	BatchRepeated Fault = "batch repeated"
)

// Setting is how a fault strikes.
type Setting struct {
	// Probability of striking, 0 to 1, at each occasion.
	Probability float64
	// Delay bounds how long whatever the fault delays is delayed; each time is random below it.
	Delay time.Duration
}

// Plan names the faults that strike. A fault that is missing never does.
type Plan map[Fault]Setting

// Default is what a hostile day looks like: everything happens, and most requests
// still have a way through.
func Default() Plan {
	return Plan{
		MessageHeld:        {Probability: 0.5, Delay: 40 * time.Millisecond},
		MessageLost:        {Probability: 0.01},
		MessageDuplicated:  {Probability: 0.05, Delay: 100 * time.Millisecond},
		MessageThrottled:   {Probability: 0.01},
		DialRefused:        {Probability: 0.05},
		GoneAtFirst:        {Probability: 0.3, Delay: 400 * time.Millisecond},
		PostLost:           {Probability: 0.01},
		PostLimited:        {Probability: 0.01},
		SocketKilled:       {Probability: 0.005},
		DisconnectLate:     {Probability: 0.5, Delay: 3 * time.Second},
		DisconnectLost:     {Probability: 0.1},
		DisconnectRepeated: {Probability: 0.1, Delay: time.Second},
		InvokeThrottled:    {Probability: 0.005},
		InvokeDelayed:      {Probability: 0.1, Delay: 50 * time.Millisecond},
		EnvironmentRetired: {Probability: 0.02},
		BatchRepeated:      {Probability: 0.05},
	}
}

// Source decides. A nil Source never strikes. It is safe for concurrent use.
type Source struct {
	seed uint64

	mu     sync.Mutex
	plan   Plan
	forced map[Fault]int
	draws  map[Fault]*rand.Rand
	struck map[Fault]int
	delays map[Fault]*rand.Rand
}

// New is a source of the plan's faults; nil plan: none but those ordered by [Source.Force].
func New(seed uint64, plan Plan) *Source {
	return &Source{
		seed:   seed,
		plan:   maps.Clone(plan),
		forced: map[Fault]int{},
		draws:  map[Fault]*rand.Rand{},
		delays: map[Fault]*rand.Rand{},
		struck: map[Fault]int{},
	}
}

// Strike reports whether f strikes now.
func (s *Source) Strike(f Fault) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	strike := s.draw(s.draws, f, 0).Float64() < s.plan[f].Probability
	if s.forced[f] > 0 {
		s.forced[f]--
		strike = true
	}
	if strike {
		s.struck[f]++
	}
	return strike
}

// Delay is a random time below the plan's for f, 0 if it has none.
func (s *Source) Delay(f Fault) time.Duration {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := s.plan[f].Delay
	if longest <= 0 {
		return 0
	}
	return time.Duration(s.draw(s.delays, f, 1).Int64N(int64(longest)))
}

// Force lets f strike the next n times it is asked about, whatever the plan says.
func (s *Source) Force(f Fault, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forced[f] = n
}

// Set changes one fault of the plan.
func (s *Source) Set(f Fault, setting Setting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan == nil {
		s.plan = Plan{}
	}
	s.plan[f] = setting
}

// Struck is how often each fault has struck so far: lost requests have to be
// explained by it.
func (s *Source) Struck() map[Fault]int {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.struck)
}

func (s *Source) draw(sequences map[Fault]*rand.Rand, f Fault, salt uint64) *rand.Rand {
	if r := sequences[f]; r != nil {
		return r
	}
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64([]byte(f), salt))
	r := rand.New(rand.NewPCG(s.seed, h.Sum64()))
	sequences[f] = r
	return r
}
