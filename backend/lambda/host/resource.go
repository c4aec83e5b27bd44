package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"culvert/backend/lambda/event"
)

// Times for CloudFormation's answer. Without one, a stack hangs for an hour.
const (
	outcomeAttempts = 4
	outcomeTimeout  = 5 * time.Second
	outcomePause    = 200 * time.Millisecond // doubled each time
)

// resource makes, changes or deletes a custom resource, and tells CloudFormation.
func (h *Host) resource(ctx context.Context, in *invocation, r *event.Resource) error {
	in.add(slog.String("event", r.RequestType), slog.String("resource", r.LogicalID))
	outcome := h.make(ctx, in, r)
	status := http.StatusOK
	if outcome.Err != nil {
		status = http.StatusInternalServerError
	}
	err := h.tell(ctx, r, outcome)
	if err != nil {
		in.fail("CloudFormation could not be told", err)
		status = http.StatusBadGateway
		err = errors.New(clean(err.Error(), maxText)) // the runtime logs it as it is
	}
	in.end(status)
	return err
}

func (h *Host) make(ctx context.Context, in *invocation, r *event.Resource) (o event.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			in.crashed(v)
			o = event.Outcome{Err: errors.New("the function crashed: see its log for the reason")}
		}
	}()
	if o = h.resources.Handle(ctx, r); o.Err != nil {
		in.fail("resource failed", o.Err)
		// What the user reads in the stack's events is no place for secrets either.
		o.Err = errors.New(clean(o.Err.Error(), maxText))
	}
	return o
}

// tell puts the outcome where CloudFormation waits for it.
func (h *Host) tell(ctx context.Context, r *event.Resource, o event.Outcome) error {
	text := r.EncodeOutcome(o)
	pause := outcomePause
	for attempt := 1; ; attempt++ {
		again, err := h.put(ctx, r.ResponseURL, text)
		if err == nil || !again || attempt == outcomeAttempts {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		pause *= 2
	}
}

func (h *Host) put(ctx context.Context, to string, text []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, bytes.NewReader(text))
	if err != nil {
		return false, err
	}
	req.Header["Content-Type"] = []string{""} // the signature is for none
	res, err := h.http.Do(req)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection can be used again
	if res.StatusCode/100 != 2 {
		return res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests, fmt.Errorf("CloudFormation's bucket answered %s", clip(res.Status))
	}
	return false, nil
}
