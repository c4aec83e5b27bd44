// Command lambda is Culvert's backend as Lambda functions. Built as "bootstrap", it
// is all of them: CULVERT_ROLE says which one a process is.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"

	"culvert/backend/lambda/host"
	"culvert/backend/lambda/processor"
	"culvert/backend/lambda/visitors"
)

// version is that of the other programs.
const version = "0.1.0"

func main() {
	if limit := memoryLimit(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")); limit > 0 {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(gcPercent)
	}
	h, err := compose(os.Getenv)
	if err != nil {
		log := host.NewLogger(os.Stdout, slog.LevelInfo)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			log.Error("the function cannot start", "cause", line)
		}
		os.Exit(1)
	}
	if h.Streaming() {
		lambda.Start(h.Stream)
	}
	lambda.Start(h)
}

// gcPercent has the collector run less often than it would where nobody has set memory
// apart: below the limit there is nothing to save but its work.
const gcPercent = 400

// memoryLimit is what the heap may take of the function's memory, in MB as Lambda says
// it, before the collector works harder: whatever is beyond all of it is killed. A large
// body takes most of 128 MB for a moment, as it is in several forms at once. 0: unknown.
func memoryLimit(megabytes string) int64 {
	n, err := strconv.ParseInt(megabytes, 10, 32)
	if err != nil || n <= 0 {
		return 0
	}
	return n << 20 / 4 * 3
}

// compose makes the function that the environment describes. It calls nobody: what
// an invocation does not need, it does not wait for.
func compose(getenv func(string) string) (*host.Host, error) {
	cfg, err := host.FromEnvironment(getenv)
	if err != nil {
		return nil, err
	}
	log := host.NewLogger(os.Stdout, cfg.LogLevel)
	p := parts{cfg: cfg, log: log, clients: host.NewClients(cfg), metrics: host.NewMetrics(cfg.Namespace, string(cfg.Role), log)}
	o := host.Options{Config: cfg, Output: os.Stdout, Log: log, Metrics: p.metrics, HTTP: p.clients.HTTP(), Abandon: func() { os.Exit(1) }}
	switch cfg.Role {
	case host.RoleKeys:
		o.Resources, err = p.resource()
	case host.RoleAgents:
		o.Agents, err = p.agents()
	case host.RoleProcessor:
		o.Processor = processor.New(processor.Config{})
	case host.RoleNotices:
		o.Notices, err = p.notices()
	default:
		var v *visitors.Visitors
		v, err = p.visitors()
		o.Visitors, o.Streams = v, v
	}
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", cfg.Role, err)
	}
	return host.New(o)
}
