package runtime

import "time"

// Outcome says how an invocation ended.
type Outcome string

// The outcomes. Throttled invocations never ran and cost nothing.
const (
	Succeeded  Outcome = "succeeded"
	Failed     Outcome = "failed"      // the function said so
	TimedOut   Outcome = "timed out"   // and was killed
	Crashed    Outcome = "crashed"     // its process went away
	InitFailed Outcome = "init failed" // its process never asked for an invocation
	Throttled  Outcome = "throttled"
)

// Report is what Lambda would write and bill for one invocation.
type Report struct {
	Function    string
	RequestID   string
	Environment string
	Outcome     Outcome
	// Init is how long the environment took to start, on its first invocation only.
	Init time.Duration
	// Duration is from handing the invocation over until the environment was ready
	// for the next one.
	Duration time.Duration
	MemoryMB int
	In, Out  int64 // bytes of payload
	Streamed bool
}

// Billed is what Lambda charges for: whole milliseconds, initialisation included.
func (r Report) Billed() time.Duration {
	whole := r.Init + r.Duration
	return (whole + time.Millisecond - 1).Truncate(time.Millisecond)
}
