// Command bench measures the desktop program as a person would feel it: how soon the
// window is there, what it costs while nothing happens and under a storm of requests,
// and how long a large body takes to be seen. `make bench-ui` runs it on a private
// screen; figures are for comparing two builds on one machine, and mean nothing else.
//
// What can be measured from outside is, on the real program. The rest needs a probe
// inside: for that this command runs itself again, with the real window and engine.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	desktop string
	starts  int
	idle    time.Duration
	storm   time.Duration
	rate    int
	json    bool
	inside  string
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.desktop, "desktop", "bin/culvert-desktop", "the program to measure")
	f.IntVar(&o.starts, "starts", 5, "how often it is started")
	f.DurationVar(&o.idle, "idle", time.Minute, "how long it is watched while idle")
	f.DurationVar(&o.storm, "storm", 20*time.Second, "how long requests storm in")
	f.IntVar(&o.rate, "rate", 2000, "how many of them a second")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of the table")
	f.StringVar(&o.inside, "inside", "", "used by the command itself")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.inside != "" {
		return runInside(ctx, o)
	}
	if os.Getenv("DISPLAY") == "" {
		return errors.New("there is no display: run make bench-ui, which brings one")
	}
	r := report{System: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	steps := []struct {
		what string
		do   func(context.Context, options, *report) error
	}{
		{fmt.Sprintf("starting it %d times", o.starts), measureStart},
		{fmt.Sprintf("idle with two tunnels for %s, beside an empty window", o.idle), measureIdle},
		{fmt.Sprintf("%d requests a second for %s", o.rate, o.storm), measureStorm},
		{"opening a body of 10 MB", measureBody},
	}
	for _, s := range steps {
		fmt.Fprintf(os.Stderr, "bench: %s\n", s.what)
		if err := s.do(ctx, o, &r); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return r.print(os.Stdout)
}

// insideResult runs one of the measurements that need a probe inside.
func insideResult(ctx context.Context, o options, name string, result any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-inside", name, "-storm", o.storm.String(), "-rate", fmt.Sprint(o.rate))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(out, result)
}

func measureStorm(ctx context.Context, o options, r *report) error {
	return insideResult(ctx, o, "storm", &r.Storm)
}

func measureBody(ctx context.Context, o options, r *report) error {
	return insideResult(ctx, o, "body", &r.Body)
}
