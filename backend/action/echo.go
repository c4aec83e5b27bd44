package action

import "context"

// echo gives back what it was given.
var _ = add("echo", func(_ context.Context, c *Call) (any, error) { return c.Data, nil })
