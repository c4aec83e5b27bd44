package main

import (
	"fmt"
	"io"
	"time"

	"text/tabwriter"
)

// report is all that was measured. Shares of a processor are of one.
type report struct {
	System string `json:"system"`
	Start  struct {
		Median time.Duration `json:"median_ns"`
		Worst  time.Duration `json:"worst_ns"`
	} `json:"start"`
	Idle struct {
		CPU      float64 `json:"cpu"`
		EmptyCPU float64 `json:"empty_cpu"`
		RSS      int64   `json:"rss"`
		EmptyRSS int64   `json:"empty_rss"`
	} `json:"idle"`
	Storm stormResult `json:"storm"`
	Body  bodyResult  `json:"body"`
}

// stormResult is what came of a storm of requests. Heaps are measured after a
// collection, at the end of each quarter.
type stormResult struct {
	Rows     int           `json:"rows"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	LoopP50  time.Duration `json:"loop_p50_ns"`
	LoopP99  time.Duration `json:"loop_p99_ns"`
	LoopMost time.Duration `json:"loop_most_ns"`
	CPU      float64       `json:"cpu"`
	Heaps    [4]uint64     `json:"heaps"`
	RSS      int64         `json:"rss"`
	Shown    int           `json:"shown"`
}

// bodyResult is how long a body of 10 MB took from the wish to the first screen.
type bodyResult struct {
	First time.Duration `json:"first_ns"`
	Bytes int           `json:"bytes"`
	RSS   int64         `json:"rss"`
}

func (r *report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", what, fmt.Sprintf(format, args...)) }
	row("system", "%s", r.System)
	row("start to first frame", "%d ms (worst %d ms)", r.Start.Median.Milliseconds(), r.Start.Worst.Milliseconds())
	row("idle, two tunnels online", "%.2f %% of a processor; an empty window %.2f %% (%.1f ×)", 100*r.Idle.CPU, 100*r.Idle.EmptyCPU, ratio(r.Idle.CPU, r.Idle.EmptyCPU))
	row("memory then", "%s; an empty window %s", megabytes(r.Idle.RSS), megabytes(r.Idle.EmptyRSS))
	s := r.Storm
	row("storm of requests", "%.0f rows/s, %d shown", float64(s.Rows)/s.Elapsed.Seconds(), s.Shown)
	row("main loop in it", "p50 %.1f ms, p99 %.1f ms, worst %.1f ms", ms(s.LoopP50), ms(s.LoopP99), ms(s.LoopMost))
	row("processor in it", "%.0f %% of one", 100*s.CPU)
	row("heap, by quarters", "%s, %s, %s, %s", megabytes(int64(s.Heaps[0])), megabytes(int64(s.Heaps[1])), megabytes(int64(s.Heaps[2])), megabytes(int64(s.Heaps[3])))
	row("memory after it", "%s", megabytes(s.RSS))
	row("first screen of a 10 MB JSON body", "%.0f ms", ms(r.Body.First))
	row("memory after it", "%s", megabytes(r.Body.RSS))
	return t.Flush()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func megabytes(n int64) string { return fmt.Sprintf("%d MB", (n+1<<19)>>20) }
