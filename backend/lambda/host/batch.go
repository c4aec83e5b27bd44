package host

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"culvert/backend/lambda/event"
)

// batch serves messages of a queue. An error has all of them come again.
func (h *Host) batch(ctx context.Context, in *invocation, b *event.Batch) ([]byte, error) {
	in.add(slog.String("event", "queue"), slog.Int("messages", len(b.Items)))
	failed, err := h.notify(ctx, in, b)
	status := http.StatusOK
	switch {
	case err != nil:
		status = http.StatusInternalServerError
	case len(failed) > 0:
		status = http.StatusMultiStatus
		in.add(slog.Int("failed", len(failed)))
	}
	in.end(status)
	if err != nil {
		return nil, err
	}
	return event.EncodeBatchAnswer(failed), nil
}

// notify calls who serves the queues, and survives it.
func (h *Host) notify(ctx context.Context, in *invocation, b *event.Batch) (failed []string, err error) {
	defer func() {
		if v := recover(); v != nil {
			in.crashed(v)
			err = errors.New("the function crashed: see its log for the reason")
		}
	}()
	return h.notices.Handle(ctx, b), nil
}
