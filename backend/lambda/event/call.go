package event

import (
	"encoding/json"
	"time"

	"culvert/backend/action"
	"culvert/backend/wire"
)

// maxUser bounds a user's name in bytes; those of tokens are shorter.
const maxUser = 512

// call reads an action that another function asks for. Members that a call does not
// have are ignored: while a stack changes, the functions differ in age.
func (e *envelope) call() (*action.Call, error) {
	c := &action.Call{Data: e.Data}
	var at string
	for _, member := range []struct {
		name string
		text json.RawMessage
		to   *string
		most int
	}{
		{"action", e.Action, &c.Action, wire.MaxActionName}, {"user", e.User, &c.User, maxUser},
		{"connectionId", e.ConnectionID, &c.Connection, maxConnectionID}, {"time", e.Time, &at, len(time.RFC3339Nano) + 10},
	} {
		if len(member.text) > 0 && json.Unmarshal(member.text, member.to) != nil {
			return nil, malformed("an action whose %s is no text", member.name)
		}
		if len(*member.to) > member.most {
			return nil, malformed("an action whose %s is over %d bytes", member.name, member.most)
		}
	}
	switch {
	case c.Action == "":
		return nil, malformed("an action without a name")
	case len(c.Data) > wire.MaxAction:
		return nil, malformed("an action with over %d bytes of data", wire.MaxAction)
	case c.Connection != "" && !IsConnectionID(c.Connection):
		return nil, malformed("connectionId is none")
	}
	if string(c.Data) == "null" {
		c.Data = nil
	}
	if at != "" {
		var err error
		if c.Time, err = time.Parse(time.RFC3339, at); err != nil {
			return nil, malformed("an action at no time")
		}
	}
	return c, nil
}
