package notices

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

var sent = time.UnixMilli(1772366400005)

func TestRead(t *testing.T) {
	t.Parallel()
	const strange = "\u00e9\ud7ff\ue000\ufffd\U0001f600"
	for name, c := range map[string]struct {
		body string
		want message
	}{
		"the least":   {`{"userId":"ann","data":"hi"}`, message{"ann", "ann", wire.Notice{ID: "m1", Data: json.RawMessage(`"hi"`), Time: sent.UnixMilli()}}},
		"all":         {`{"userId":"key:x","data":{ "a" : "<b>" },"id":"n1","time":7,"more":{}}`, message{"key:x", "key:x", wire.Notice{ID: "n1", Data: json.RawMessage(`{"a":"<b>"}`), Time: 7}}},
		"null":        {`{"userId":"ann","data":null,"id":null,"time":null}`, message{"ann", "ann", wire.Notice{ID: "m1", Data: json.RawMessage(`null`), Time: sent.UnixMilli()}}},
		"empty":       {`{"userId":"ann","data":"","id":"","time":0}`, message{"ann", "ann", wire.Notice{ID: "m1", Data: json.RawMessage(`""`), Time: sent.UnixMilli()}}},
		"the largest": {`{"userId":"ann","data":"` + strings.Repeat("x", wire.MaxNotice-2) + `"}`, message{"ann", "ann", wire.Notice{ID: "m1", Data: json.RawMessage(`"` + strings.Repeat("x", wire.MaxNotice-2) + `"`), Time: sent.UnixMilli()}}},
		"of blanks":   {` {"userId":"ann","data":` + strings.Repeat(" ", wire.MaxNotice) + `1}`, message{"ann", "ann", wire.Notice{ID: "m1", Data: json.RawMessage(`1`), Time: sent.UnixMilli()}}},
		"of any script": {`{"userId":"\u00e9\ud7ff\ue000\ufffd\ud83d\ude00","data":1,"id":"\t\r\n\u007f\u0085\u2028\ud800"}`,
			message{strange, strange, wire.Notice{ID: "\t\r\n\u007f\u0085\u2028\ufffd", Data: json.RawMessage(`1`), Time: sent.UnixMilli()}}},
		"for a device": {`{"userId":"ann","connectionId":5,"data":1}`, message{"ann", "ann", wire.Notice{ID: "m1", Data: json.RawMessage(`1`), Time: sent.UnixMilli()}}},
	} {
		got, err := readUser(&event.Item{ID: "m1", Body: c.body, Sent: sent})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(message{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		``:                                   "no JSON object",
		`hush`:                               "no JSON object",
		`["hush"]`:                           "no JSON object",
		`{"connectionId":"c"`:                "no JSON object",
		`null`:                               "connectionId is missing",
		`{"data":"hush"}`:                    "connectionId is missing",
		`{"connectionId":"","data":1}`:       "connectionId is missing",
		`{"connectionId":7,"data":1}`:        "connectionId is no text",
		`{"connectionId":["hush"],"data":1}`: "connectionId is no text",
		`{"connectionId":"c"}`:               "data is missing",
		`{"connectionId":"c","data":1,"id":"hush\uffff"}`:                                               "id has a character that queues do not take",
		`{"connectionId":"c","data":1,"id":"\ufffe"}`:                                                   "id has a character that queues do not take",
		`{"connectionId":"c","data":1,"id":"\u0000"}`:                                                   "id has a character that queues do not take",
		`{"connectionId":"c","data":1,"id":"a\u001fb"}`:                                                 "id has a character that queues do not take",
		`{"connectionId":"\uffffhush","data":1}`:                                                        "connectionId has a character that queues do not take",
		`{"connectionId":"c","data":1,"id":7}`:                                                          "id is no text",
		`{"connectionId":"c","data":1,"time":"hush"}`:                                                   "time is no number",
		`{"connectionId":"c","data":1,"time":1.5}`:                                                      "time is no number",
		`{"connectionId":"c","data":1,"time":-1}`:                                                       "time is no number",
		`{"connectionId":"c","data":"` + strings.Repeat("x", wire.MaxNotice-1) + `"}`:                   "data has 49153 bytes",
		`{"connectionId":"c","data":1,"id":"` + strings.Repeat("hush", wire.MaxNoticeID/4) + "x" + `"}`: "id has 129 bytes",
		`{"connectionId":"` + strings.Repeat("c", 129) + `","data":1}`:                                  "none that API Gateway gives",
		`{"connectionId":"` + strings.Repeat("c", maxAddress+1) + `","data":1}`:                         "connectionId has 513 bytes",
		`{"connectionId":"revoked#user#hush","data":1}`:                                                 "none that API Gateway gives",
		`{"connectionId":"../hush","data":1}`:                                                           "none that API Gateway gives",
	} {
		_, err := readConnection(&event.Item{ID: "m1", Body: body})
		if !errors.Is(err, errMalformed) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%.60s: %v, want %q", body, err, says)
		}
	}
}

// What is sent from one queue to the other is read there as it was.
func FuzzMessage(f *testing.F) {
	f.Add(`{"userId":"ann","data":{"a":"<\u2028>"},"id":"n","time":7}`, "c1")
	f.Add(`{"userId":"a","data":1e5}`, "")
	f.Fuzz(func(t *testing.T, body, connection string) {
		m, err := readUser(&event.Item{ID: "m1", Body: body, Sent: sent})
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Errorf("untyped: %v", err)
			}
			return
		}
		if !event.IsConnectionID(connection) {
			return
		}
		again, err := readConnection(&event.Item{ID: "m2", Body: m.forConnection(connection)})
		if err != nil {
			t.Fatal(err)
		}
		m.to = connection
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(message{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		text, err := wire.Encode(&m.notice)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Decode(text, wire.MaxGatewayMessage); err != nil {
			t.Errorf("agents cannot read it: %v", err)
		}
	})
}
