// Command bench measures what requests through the serverless backend cost on AWS, and
// how long they take, on the stand-in of package awslocal: beside them the design that
// the backend replaces, on the same stand-in. What it says comes from operations that
// were counted; it fails if they cost more than they should.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"culvert/backend/awslocal/meter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var b bench
	flag.StringVar(&b.culvert, "culvert", "bin/culvert", "the command, whose agent is used")
	flag.StringVar(&b.bootstrap, "bootstrap", "bin/bootstrap", "the functions' program")
	flag.IntVar(&b.requests, "requests", 60, "requests of each visitor for each workload")
	flag.IntVar(&b.visitors, "visitors", 2, "visitors at the same time")
	flag.BoolVar(&b.naive, "naive", true, "measure the plain design, too")
	flag.IntVar(&b.rpm, "rpm", 0, "have what the tunnel serves counted, up to so much a minute, as TunnelRequestsPerMinute has it; the row has nothing for that")
	only := flag.String("only", "", "one workload, by its name")
	flag.Parse()
	if flag.NArg() > 0 || b.requests < 1 || b.visitors < 1 {
		flag.Usage()
		os.Exit(2)
	}
	b.out = os.Stdout
	if err := b.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// workload is requests of one kind.
type workload struct {
	name              string
	request, response int           // bytes of body
	wait              time.Duration // of the local service
	bucket            bool          // whether large bodies go by S3
	row               row
}

// workloads are those of the cost table in deploy/README.md, with the row that each
// must keep to: pushed up to 90 KB, by S3 at 1 MB. Bodies are random bytes, which do not get
// smaller by compression: text costs less.
func workloads() []workload {
	const kb = 1 << 10
	return []workload{
		{"0.5/0.7 KB", kb / 2, 7 * kb / 10, 150 * time.Millisecond, false, row{dollars: 4.73, units: 1}},
		{"1/2 KB", kb, 2 * kb, 300 * time.Millisecond, false, row{dollars: 4.98, units: 1}},
		{"2/20 KB", 2 * kb, 20 * kb, 300 * time.Millisecond, false, row{dollars: 4.98, units: 1}},
		{"2/90 KB", 2 * kb, 90 * kb, 300 * time.Millisecond, false, row{dollars: 10.98, units: 4}},
		{"1 MB", 2 * kb, 1 << 20, 300 * time.Millisecond, true, row{dollars: 12.53}},
	}
}

// result is a workload's, on one of the designs.
type result struct {
	workload workload
	report   meter.Report // per million requests
	p50, p99 time.Duration
	used     meter.Usage
	requests int
	// busy is what the functions used of a processor for each request; 0 if that is unknown.
	busy map[string]time.Duration
}

type bench struct {
	culvert, bootstrap string
	requests, visitors int
	rpm                int
	naive              bool
	out                io.Writer
}

func (b *bench) run(ctx context.Context, only string) error {
	if err := b.program(ctx); err != nil {
		return err
	}
	b.services()
	var all []workload
	for _, w := range workloads() {
		if only == "" || only == w.name {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("there is no workload %q", only)
	}
	ours, err := b.design(ctx, false, all)
	if err != nil {
		return fmt.Errorf("culvert's design: %w", err)
	}
	var naive []result
	if b.naive {
		if naive, err = b.design(ctx, true, all); err != nil {
			return fmt.Errorf("the naive design: %w", err)
		}
	}
	return b.compare(ours, naive)
}
