package host

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// invocation is one event being served. At its end it is one line in the log: what
// happened, and the metrics, since lines are paid for by the byte.
type invocation struct {
	h     *Host
	ctx   context.Context
	start time.Time
	level slog.Level
	what  string
	attrs []slog.Attr
}

func (h *Host) begin(ctx context.Context) *invocation {
	in := &invocation{h: h, ctx: ctx, start: time.Now(), level: slog.LevelInfo, what: "served"}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		in.add(slog.String("requestId", lc.AwsRequestID)) // under the name Lambda uses itself
	}
	if !h.warm {
		h.warm = true
		in.add(slog.Bool("cold", true))
	}
	return in
}

func (in *invocation) add(attrs ...slog.Attr) { in.attrs = append(in.attrs, attrs...) }

// fail has the line say why.
func (in *invocation) fail(what string, err error) {
	in.what, in.level = what, slog.LevelError
	in.add(slog.Any("cause", err))
}

// crashed is fail for a panic, whose value recover gave.
func (in *invocation) crashed(value any) error {
	err := fmt.Errorf("panic: %v", value)
	in.fail("crashed", err)
	in.add(slog.String(stackKey, string(debug.Stack())))
	return err
}

// quiet makes the line one for the level debug, and the metrics alone otherwise.
func (in *invocation) quiet() {
	if in.level == slog.LevelInfo {
		in.level = slog.LevelDebug
	}
}

// end writes the line.
func (in *invocation) end(status int) {
	var attrs []slog.Attr
	if in.h.log.Enabled(in.ctx, in.level) {
		attrs = append(in.attrs, slog.Int("status", status), slog.Duration("durationMs", time.Since(in.start)))
	} else {
		in.what, in.level = "counted", slog.LevelInfo
	}
	attrs = append(attrs, in.h.metrics.take(time.Now())...)
	in.h.line(in.ctx, in.level, in.what, attrs)
}
