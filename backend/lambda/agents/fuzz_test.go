package agents

import (
	"encoding/json"
	"testing"

	"culvert/backend/wire"
)

// Whatever comes in: what is an action has no type, so that no message is both; what is
// none can be told so; and nothing that is shown to authorize by is invented.
func FuzzClientMessage(f *testing.F) {
	for _, text := range append([]string{
		`{"action":"ping","id":"1","data":{"name":"Ann"}}`, `{"type":"ready","action":"ping"}`, `{"Type":"x","type":null,"action":"a"}`,
		`{"action":"authorize","data":{"token":"a.b.c","owner":"o","proof":"p"}}`, `{"type":5,"action":"echo"}`,
	}, noise[:16]...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		asked, bad := readAction(text)
		if (asked == nil) == (bad == nil) {
			t.Fatalf("%v, %v", asked, bad)
		}
		if bad != nil {
			if _, err := wire.Encode(bad.Answer()); err != nil {
				t.Errorf("the answer: %v", err)
			}
			return
		}
		if typed(text) || asked.Action == "" {
			t.Errorf("%q is an action of the type %+v", text, asked)
		}
		shown, ok := readEvidence(asked.Data)
		if ok != (shown.Token != "" || shown.Owner != "") || ok && !json.Valid(asked.Data) {
			t.Errorf("%s shows %+v, %v", asked.Data, shown, ok)
		}
		if out := greet(asked.Data); (out.told == nil) == (out.result == nil) || out.err != nil {
			t.Errorf("%s is greeted by %+v", asked.Data, out)
		}
	})
}
