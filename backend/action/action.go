// Package action is what the backend does when a client asks it to by name: the actions
// of the Processor function on AWS, and of the relay in its own process.
//
// To add one, add a file here that looks like echo.go: it names the action and the
// function that does it. Nothing else has to change.
package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"culvert/backend/wire"
)

// Call is one action that somebody has asked for.
type Call struct {
	Action string `json:"action"`
	// Data is any JSON, nil if there was none; at most wire.MaxAction bytes.
	Data json.RawMessage `json:"data,omitempty"`
	// User is who asks (auth.UserID), "" if nobody knows, and Connection by which
	// connection.
	User       string `json:"user,omitempty"`
	Connection string `json:"connectionId,omitempty"`
	// Time is the backend's, when the action was asked for.
	Time time.Time `json:"time"`
}

// Reply is what came of a Call, as it goes between functions. Error or Result is set.
type Reply struct {
	Result json.RawMessage   `json:"result,omitempty"`
	Error  *wire.ActionError `json:"error,omitempty"`
}

// Func does an action. Its result becomes JSON. An error that is, or wraps, a
// *wire.ActionError is told to who asked; any other is logged, and who asked learns
// only that the action failed.
type Func func(ctx context.Context, c *Call) (result any, err error)

// registry has every action that a file of this package adds. It is complete before
// main begins, and never changes afterwards.
var registry = map[string]Func{}

// add registers an action. A name that is taken or cannot be asked for is a mistake in
// the program, which then does not start.
func add(name string, f Func) struct{} {
	if _, taken := registry[name]; taken || slices.Contains(Reserved(), name) || name == "" || len(name) > wire.MaxActionName || strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		panic(fmt.Sprintf("action %q: the name is taken, or is not made of lower-case letters, digits and hyphens", name))
	}
	registry[name] = f
	return struct{}{}
}

// Names are the actions there are in this package, sorted.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

// Reserved are the names of actions that whoever holds the connections does itself,
// sorted: none of them gets here.
func Reserved() []string { return []string{"authorize", "connections", "ping"} }

// Do does an action and never panics. The error is a *wire.ActionError that may be
// told, or wraps one beside the cause, which is for the log.
func Do(ctx context.Context, c *Call) (result json.RawMessage, err error) {
	f := registry[c.Action]
	if f == nil {
		all := append(Names(), Reserved()...) // whoever has got here asked among all of them
		slices.Sort(all)
		return nil, Unknown(c.Action, all)
	}
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, failed(fmt.Errorf("panic: %v", p))
		}
	}()
	value, err := f(ctx, c)
	if err != nil {
		return nil, failed(err)
	}
	if result, err = encode(value); err != nil {
		return nil, failed(err)
	}
	return result, nil
}

// encode makes JSON of a result, and leaves what JSON it has in it as it is: escaped
// for HTML, an echo would be larger than what was said.
func encode(value any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Unknown is the error about an action that does not exist; names are those that do.
func Unknown(name string, names []string) *wire.ActionError {
	return &wire.ActionError{Code: wire.CodeNotImplemented,
		Message: fmt.Sprintf("not implemented: there is no action %q here; there are %s", name, strings.Join(names, ", "))}
}

// Invalid is the error about data that an action can do nothing with.
func Invalid(format string, args ...any) *wire.ActionError {
	return &wire.ActionError{Code: wire.CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

// failed makes an error tellable.
func failed(cause error) error {
	if told := (*wire.ActionError)(nil); errors.As(cause, &told) {
		return told
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", &wire.ActionError{Code: wire.CodeTimeout, Message: "the action took too long"}, cause)
	}
	return fmt.Errorf("%w: %w", &wire.ActionError{Code: wire.CodeInternal, Message: "the action failed: see the backend's log"}, cause)
}

// textOf is the text that an action works on: the data if it is a string, or its
// member "text".
func textOf(c *Call) (string, error) {
	var text string
	if json.Unmarshal(c.Data, &text) == nil && len(c.Data) > 0 && c.Data[0] == '"' {
		return text, nil
	}
	var object struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(c.Data, &object) == nil && object.Text != nil {
		return *object.Text, nil
	}
	return "", Invalid(`the action %s needs text: write "data":"some text"`, c.Action)
}
