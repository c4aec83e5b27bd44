package action

import (
	"context"
	"strings"
)

// uppercase gives a text in upper case.
var _ = add("uppercase", func(_ context.Context, c *Call) (any, error) {
	text, err := textOf(c)
	return strings.ToUpper(text), err
})
