package action

import (
	"context"
	"slices"
)

// reverse gives a text with its characters (Unicode's code points) in reverse order.
var _ = add("reverse", func(_ context.Context, c *Call) (any, error) {
	text, err := textOf(c)
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes), err
})
