package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestActions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want any // nil: a *BadAction
	}{
		{`{"action":"echo"}`, &Action{Action: "echo"}},
		{` {"action":"echo","data":null,"more":1}`, &Action{Action: "echo"}},
		{`{"action":"echo","id":"7","data":{"a":[1,2]}}`, &Action{Action: "echo", ID: "7", Data: json.RawMessage(`{"a":[1,2]}`)}},
		{`{"action":"echo","status":"success","result":"x"}`, &ActionAnswer{Action: "echo", Status: StatusSuccess, Result: json.RawMessage(`"x"`)}},
		{`{"action":"echo","status":"error","error":{"code":"timeout","message":"m"}}`, &ActionAnswer{Action: "echo", Status: StatusError, Error: &ActionError{Code: CodeTimeout, Message: "m"}}},
		{`{"type":"notice","id":"n","data":"hi","time":5}`, &Notice{ID: "n", Data: json.RawMessage(`"hi"`), Time: 5}},
		{`{"type":"notice","id":"n","data":null}`, &Notice{ID: "n", Data: json.RawMessage("null")}},
		{`{"message":"Forbidden"}`, &Unknown{Text: `{"message":"Forbidden"}`}},
		{`{"action":5}`, nil},
		{`{"action":""}`, nil},
		{`{"action":"` + strings.Repeat("a", MaxActionName+1) + `"}`, nil},
		{`{"action":"a","id":7}`, nil},
		{`{"action":"a","id":"` + strings.Repeat("a", MaxActionID+1) + `"}`, nil},
	} {
		got, err := Decode([]byte(tt.text), MaxAction)
		if tt.want == nil {
			if bad := (*BadAction)(nil); !errors.As(err, &bad) || !errors.Is(err, ErrProtocol) {
				t.Errorf("%.60s: %v, want a *BadAction", tt.text, err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%.60s: error %v (-want +got):\n%s", tt.text, err, diff)
		}
		if _, unknown := tt.want.(*Unknown); unknown {
			continue
		}
		text, err := Encode(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Decode(text, MaxAction); err != nil || !cmp.Equal(again, tt.want) {
			t.Errorf("%s becomes %s: %v", tt.text, text, err)
		}
	}
	for _, text := range []string{
		`{"action":"a","status":"odd"}`, `{"action":"a","status":"error"}`, `{"action":"a","status":"error","error":5}`,
		`{"type":"notice","data":1}`, `{"type":"notice","id":"n"}`, `{"type":"notice","id":"n","data":1,"time":-1}`,
		`{"type":"notice","id":"n","data":"` + strings.Repeat("a", MaxNotice) + `"}`,
	} {
		if m, err := Decode([]byte(text), MaxAction); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.60s: %v, %v", text, m, err)
		}
	}
}

func TestDecodeAction(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`hello`: "not a JSON object", `[]`: "not a JSON object", `{}`: "asks for nothing", `{"type":"ping"}`: "asks for nothing",
		`{"action":1,"id":"7"}`: "action is not a string", `{"action":"a","status":"success"}`: "asks for nothing",
		"\xff": "not UTF-8", `{"action":"` + strings.Repeat("a", MaxAction-20) + `"}`: "length in bytes",
	} {
		a, err := DecodeAction([]byte(text))
		var bad *BadAction
		if a != nil || !errors.As(err, &bad) || !strings.Contains(bad.Error(), says) {
			t.Errorf("%.40q: %v, %v; want %q", text, a, err, says)
			continue
		}
		answer, err := Encode(bad.Answer())
		if err != nil {
			t.Fatal(err)
		}
		var shape struct {
			Action, Status string
			Error          struct{ Code, Message string }
		}
		if json.Unmarshal(answer, &shape) != nil || strings.Contains(shape.Error.Message, ErrProtocol.Error()) || !strings.Contains(shape.Error.Message, ": ") || shape.Status != "error" || shape.Error.Code != "invalid_request" || shape.Error.Message == "" {
			t.Errorf("%.40q is answered by %s", text, answer)
		}
	}
	_, err := DecodeAction([]byte(`{"action":"a","id":"7","data":{}}`))
	if err != nil {
		t.Error(err)
	}
}

// Whatever is wrong with an action, who asked learns which one it was.
func TestBadActionsAreNamed(t *testing.T) {
	t.Parallel()
	deep := func(levels int) string {
		return strings.Repeat(`[{"a":"]}\"",`+"\n"+`"b":`, levels/2) + "0" + strings.Repeat("}]", levels/2)
	}
	for text, want := range map[string]ActionAnswer{
		`{"action":"echo","id":"7","data":` + deep(40) + `}`:                                                     {Action: "echo", ID: "7", Error: &ActionError{Code: CodeTooLarge}},
		`{"data":` + deep(1000) + `, "x":[[]],"id":"7","action":"echo"}`:                                         {Action: "echo", ID: "7", Error: &ActionError{Code: CodeTooLarge}},
		`{"data":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `,"id":"\u0037","action":"echo"}`: {Action: "echo", ID: "7", Error: &ActionError{Code: CodeTooLarge}},
		`{"action":"echo","id":7,"data":` + deep(40) + `}`:                                                       {Action: "echo", Error: &ActionError{Code: CodeTooLarge}},
		`{"action":{"a":1},"id":"7","data":` + deep(40) + `}`:                                                    {ID: "7", Error: &ActionError{Code: CodeTooLarge}},
		`{"id":"7","data":` + deep(40) + `}`:                                                                     {Error: &ActionError{Code: CodeInvalidRequest}},
		`{"action":"echo","id":"7","data":` + strings.Repeat("[", 40) + `}`:                                      {Error: &ActionError{Code: CodeInvalidRequest}},
		`{"action":"echo","id":"7","data":` + deep(40) + `}}`:                                                    {Error: &ActionError{Code: CodeInvalidRequest}},
		`{"type":"ready","action":"echo","data":` + deep(40) + `}`:                                               {Error: &ActionError{Code: CodeInvalidRequest}},
		strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40):                                                        {Error: &ActionError{Code: CodeInvalidRequest}},
		`{"action":"` + strings.Repeat("a", MaxActionName+1) + `","id":"7"}`:                                     {ID: "7", Error: &ActionError{Code: CodeInvalidRequest}},
		`{"action":"echo","id":"` + strings.Repeat("a", MaxActionID+1) + `"}`:                                    {Action: "echo", Error: &ActionError{Code: CodeInvalidRequest}},
		`{"action":"echo","id":"7","data":"` + strings.Repeat("a", MaxAction) + `"}`:                             {Action: "echo", ID: "7", Error: &ActionError{Code: CodeTooLarge}},
		`{"action":"echo","id":"7","data":"` + strings.Repeat("a", MaxGatewayMessage) + `"}`:                     {Error: &ActionError{Code: CodeInvalidRequest}},
	} {
		_, err := DecodeAction([]byte(text))
		bad, ok := err.(*BadAction)
		if !ok {
			t.Errorf("%.60s: %v", text, err)
			continue
		}
		got := bad.Answer()
		if got.Action != want.Action || got.ID != want.ID || got.Error.Code != want.Error.Code {
			t.Errorf("%.60s: answered by action %q, id %q, %+v", text, got.Action, got.ID, got.Error)
		}
	}
	for text, says := range map[string]string{
		"hello": `this is not understood: message is not a JSON object; write, for example, {"action":"ping"}`,
		`{"action":"a","data":"` + strings.Repeat("a", MaxActionData-1) + `"}`: "the data of an action have at most 64512 bytes: send less",
		`{"action":"a","id":"` + strings.Repeat("a", MaxActionID+1) + `"}`:     "an id has at most 128 bytes: choose a shorter one",
		`{"action":"echo","data":` + deep(40) + `}`:                            "the data are nested too deep: 31 levels are allowed",
		strings.Repeat(" ", MaxAction) + `{"action":"echo"}`:                   "the message is too large: one about an action may have 65536 bytes",
	} {
		_, err := DecodeAction([]byte(text))
		if bad, ok := err.(*BadAction); !ok || bad.Answer().Error.Message != says {
			t.Errorf("%.60s: %v, want %q", text, err, says)
		}
	}
	// The deepest that is allowed, which SPEC.md names.
	if _, err := DecodeAction([]byte(`{"action":"echo","data":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`)); err != nil {
		t.Error(err)
	}
}

func TestAnswersFit(t *testing.T) {
	t.Parallel()
	// The largest question that is taken has room for its data in the answer, whatever its id is.
	id, data := strings.Repeat("\x01", MaxActionID), `"`+strings.Repeat("<", MaxActionData-2)+`"`
	escaped, _ := json.Marshal(id)
	question := `{"action":"` + strings.Repeat("a", MaxActionName) + `","data":` + data + `,"id":` + string(escaped) + `}`
	asked, err := DecodeAction([]byte(question))
	if err != nil {
		t.Fatalf("%d bytes: %v", len(question), err)
	}
	if text, err := Encode(DoneAction(asked, asked.Data)); err != nil || len(text) > MaxAction || !strings.Contains(string(text), data) {
		t.Errorf("%v, %d bytes: %.100s", err, len(text), text)
	}
	big := json.RawMessage(`"` + strings.Repeat("a", MaxAction) + `"`)
	text, err := Encode(DoneAction(&Action{Action: "echo", ID: "7"}, big))
	if err != nil || len(text) > 1000 || !strings.Contains(string(text), `"too_large"`) || !strings.Contains(string(text), `"id":"7"`) {
		t.Errorf("%v, %d bytes", err, len(text))
	}
	if text, _ := Encode(DoneAction(&Action{Action: "echo"}, nil)); string(text) != `{"action":"echo","status":"success","result":null}` {
		t.Errorf("%s", text)
	}
}
