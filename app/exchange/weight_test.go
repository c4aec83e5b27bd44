package exchange

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// Nothing that may become long weighs nothing.
func TestWeightCountsWhatIsLong(t *testing.T) {
	t.Parallel()
	const long = 100_000
	text := strings.Repeat("x", long)
	data := bytes.Repeat([]byte{'x'}, long)
	many := http.Header{}
	for n := range 1000 {
		many[text[:n+1]] = []string{""}
	}
	for name, x := range map[string]*Exchange{
		"id": {ID: text}, "tunnel": {Tunnel: text}, "target": {Target: text}, "url": {URL: text}, "remote address": {RemoteAddr: text},
		"method": {Method: text}, "path": {Path: text}, "host": {Host: text}, "upgrade": {Upgrade: text},
		"err": {Err: text}, "detail": {Detail: text}, "replay of": {ReplayOf: text},
		"request's field":   {Request: Message{Header: http.Header{"X": {text}}}},
		"request's name":    {Request: Message{Header: http.Header{text: {}}}},
		"request's body":    {Request: Message{Body: data}},
		"response's field":  {Response: Message{Header: http.Header{"X": {"", text}}}},
		"response's body":   {Response: Message{Body: data}},
		"message's data":    {Messages: []StreamMessage{{}, {Data: data}}},
		"message's name":    {Messages: []StreamMessage{{Name: text}}},
		"message's last id": {Messages: []StreamMessage{{LastID: text}}},
		"many messages":     {Messages: make([]StreamMessage, 1000)},
		"many fields":       {Response: Message{Header: many}},
		"many values":       {Request: Message{Header: http.Header{"X": make([]string, 10_000)}}},
	} {
		if more := Weight(x) - Weight(&Exchange{}); more < long || more > 6*long {
			t.Errorf("%s: %d bytes weigh %d", name, long, more)
		}
	}
	if n := Weight(&Exchange{}); n <= 0 || n > 4<<10 {
		t.Errorf("an empty exchange weighs %d", n)
	}
}
