// Command bench measures what a tunnel costs beside what cannot be done without: the
// real `culvert relay` and `culvert http --json`, two processes with the request log
// on, against one and two chained httputil.ReverseProxy hops and against no tunnel at
// all. `make bench` runs it; it needs Linux and nothing but Go.
//
// Everything listens on loopback and is up at the same time. A round measures every
// target for a moment, in turns that change direction; ratios are formed inside a round
// and their median and range are told, so that a machine that is sometimes faster and
// sometimes slower spoils them little. The figures compare programs on one machine and
// mean nothing else.
//
// Roles of the files: targets.go and process.go (what is measured), upstream.go, hop.go,
// relay.go and agents.go (the parts of it that are this program itself, as children),
// load.go, bulk.go, paced.go and answer.go (the visitors, children as well), measure.go,
// proc.go and clock_linux.go (processor time and memory), section_*.go (what is asked),
// samples.go, histogram.go and report.go (what comes of it).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	self, err := os.Executable()
	if err == nil {
		err = run(ctx, self, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	culvert  string
	rounds   int
	duration time.Duration
	only     string
	json     string
	quick    bool
}

// run is the command line; self is this program, for its parts.
func run(ctx context.Context, self string, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if part := parts()[args[0]]; part != nil {
			return part(ctx, args[1:])
		}
	}
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.culvert, "culvert", "bin/culvert", "the program to measure")
	f.IntVar(&o.rounds, "rounds", 5, "how many rounds")
	f.DurationVar(&o.duration, "duration", time.Second, "how long each target is measured in a round")
	f.StringVar(&o.only, "only", "", "some of "+strings.Join(sectionNames(), ",")+" (default: all)")
	f.StringVar(&o.json, "json", "", "write what was measured into this file, too, one JSON object per line")
	f.BoolVar(&o.quick, "quick", false, "try everything once, in seconds: the figures mean nothing then")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || o.rounds < 1 || o.duration <= 0 {
		return errors.New("want flags only, and at least one round of some time: see -help")
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("processor time and memory of other processes are read from Linux's /proc: this is %s, run it on Linux", runtime.GOOS)
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	b, err := newBench(o, self, stdout, stderr)
	if err != nil {
		return err
	}
	return errors.Join(b.run(ctx, chosen), b.close())
}

// parts are what this program is as a child of itself.
func parts() map[string]func(context.Context, []string) error {
	return map[string]func(context.Context, []string) error{
		"upstream": upstreamPart, "hop": hopPart, "relay": relayPart, "agents": agentsPart, "load": loadPart,
	}
}

// section is a group of questions.
type section struct {
	name   string
	ask    func(context.Context, *bench) error
	report func(*report)
}

func sections() []section {
	return []section{
		{"load", askLoad, reportLoad},
		{"bodies", askBodies, reportBodies},
		{"scale", askScale, reportScale},
		{"tunnels", askTunnels, reportTunnels},
	}
}

func sectionNames() (names []string) {
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return names
}

// choose gives the sections of a comma list; of "" all.
func choose(only string) ([]section, error) {
	if only == "" {
		return sections(), nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.Contains(sectionNames(), name) {
			return nil, fmt.Errorf("-only=%s: there is no section %q: want some of %s", only, name, strings.Join(sectionNames(), ","))
		}
	}
	return slices.DeleteFunc(sections(), func(s section) bool { return !slices.Contains(wanted, s.name) }), nil
}
