package action

import (
	"context"
	"time"
)

// timestamp gives the backend's time, when the action was asked for.
var _ = add("timestamp", func(_ context.Context, c *Call) (any, error) {
	return struct {
		Time string `json:"time"` // RFC 3339
		Unix int64  `json:"unix_ms"`
	}{c.Time.UTC().Format(time.RFC3339Nano), c.Time.UnixMilli()}, nil
})
