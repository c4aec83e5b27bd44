// Command bench measures what requests through the serverless backend cost on AWS, and
// how long they take, on the stand-in of package awslocal: beside them the design that
// the backend replaces, on the same stand-in. What it says comes from operations that
// were counted; it fails if they cost more than they should.
package main

import (
	"context"
	"errors"
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
	row               float64       // dollars per million requests
}

// workloads are those of the cost table in deploy/README.md, with the row that each
// must keep to: pushed up to 90 KB, by S3 at 1 MB. Bodies are random bytes, which do not get
// smaller by compression: text costs less. The rows of the pushed design are rounded.
func workloads() []workload {
	const kb = 1 << 10
	return []workload{
		{"0.5/0.7 KB", kb / 2, 7 * kb / 10, 150 * time.Millisecond, false, 4.7},
		{"1/2 KB", kb, 2 * kb, 300 * time.Millisecond, false, 5.0},
		{"2/20 KB", 2 * kb, 20 * kb, 300 * time.Millisecond, false, 5.0},
		{"2/90 KB", 2 * kb, 90 * kb, 300 * time.Millisecond, false, 11.0},
		{"1 MB", 2 * kb, 1 << 20, 300 * time.Millisecond, true, 12.53},
	}
}

// slack is how much more than its row a workload may cost: the part of the price that
// is Lambda's time was measured on a machine with other things to do.
const slack = 1.03

// result is a workload's, on one of the designs.
type result struct {
	workload workload
	report   meter.Report // per million requests
	p50, p99 time.Duration
	used     meter.Usage
	requests int
}

type bench struct {
	culvert, bootstrap string
	requests, visitors int
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
	naive, err := b.design(ctx, true, all)
	if err != nil {
		return fmt.Errorf("the naive design: %w", err)
	}
	return b.compare(ours, naive)
}

// compare prints both, and says what costs too much.
func (b *bench) compare(ours, naive []result) (failed error) {
	fmt.Fprintf(b.out, "\nper million requests, us-east-1, Lambda 128 MB arm64, no free tier, without egress; logs apart\n")
	fmt.Fprintf(b.out, "documented: in deploy/README.md; naive: a plain design that stores every request and answer, and polls\n")
	fmt.Fprintf(b.out, "%-12s %10s %10s %10s   %22s   %22s\n", "body", "culvert", "documented", "naive", "added p50/p99 culvert", "added p50/p99 naive")
	for i, r := range ours {
		n, naiveTimes := "-", "does not fit a message"
		if i < len(naive) && naive[i].requests > 0 {
			n = fmt.Sprintf("$%.2f", naive[i].report.Dollars)
			naiveTimes = fmt.Sprintf("%d / %d ms", naive[i].p50.Milliseconds(), naive[i].p99.Milliseconds())
		}
		fmt.Fprintf(b.out, "%-12s %10s %10s %10s   %22s   %22s\n", r.workload.name, fmt.Sprintf("$%.2f", r.report.Dollars),
			fmt.Sprintf("$%.2f", r.workload.row), n, fmt.Sprintf("%d / %d ms", r.p50.Milliseconds(), r.p99.Milliseconds()), naiveTimes)
		if most := r.workload.row * slack; r.report.Dollars > most {
			failed = errors.Join(failed, fmt.Errorf("%s: a million requests cost $%.2f, more than the $%.2f that they may", r.workload.name, r.report.Dollars, most))
		}
	}
	for _, r := range ours {
		fmt.Fprintf(b.out, "\nculvert, %s, %d requests counted, per million:\n", r.workload.name, r.requests)
		r.report.WriteTo(b.out)
	}
	for _, r := range naive {
		if r.requests > 0 {
			fmt.Fprintf(b.out, "\nnaive, %s, %d requests counted, per million:\n", r.workload.name, r.requests)
			r.report.WriteTo(b.out)
		}
	}
	return failed
}
