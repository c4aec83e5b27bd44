package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ object, rest, value string }{
		{`{"body":"abc"}`, `{"body":""}`, `abc`},
		{` { "a" : {"body":"x","b":[1,"}",{}]} , "Body" : "a\"\\\u00e9" , "c":null} `, ` { "a" : {"body":"x","b":[1,"}",{}]} , "Body" : "" , "c":null} `, `a\"\\\u00e9`},
		{`{"a":-1.5e3,"b":true,"body":""}`, `{"a":-1.5e3,"b":true,"body":""}`, ``},
		{`{"body":"x"} rest`, `{"body":""} rest`, `x`}, // rest is no JSON, as little as the whole
	} {
		rest, value, ok := Cut([]byte(c.object), "body")
		if !ok || string(rest) != c.rest || string(value) != c.value {
			t.Errorf("%s: %s, %s, %v", c.object, rest, value, ok)
		}
	}
	for _, object := range []string{
		``, `null`, `[]`, `{}`, `{"a":"b"}`, `{"body":1}`, `{"body":{"body":"x"}}`, `{"body":"x","body":"y"}`, `{"body":"x","BODY":"y"}`, `{"b\u006fdy":"x"}`,
		`{"body":"x`, `{"body":"x"`, `{"body":"x",`, `{"body":"x",}`, `{"body""x"}`, `{"body":"\x"}`, `{"body":"\u12"}`, "{\"body\":\"\n\"}", `{"body":"x" "a":1}`, `{"a":[`, `{"body":"\`,
	} {
		if rest, value, ok := Cut([]byte(object), "body"); ok {
			t.Errorf("%s: %s, %s", object, rest, value)
		}
	}
}

// Cut sees what package json sees.
func FuzzCut(f *testing.F) {
	for _, object := range []string{
		`{"body":"a\"b\\\/\b\f\n\r\t\u0041\u00e9\u20ac","other":[1,{"x":"}"}]}`, `{"body":"\ud83d\ude00"}`, `{"body":"\ud83d"}`, "{\"body\":\"\xff\"}", `{"body":"x"}}`,
		`{"body":"x",}`, `{"body" :"x" ,"Body":1}`, `{"bodY":"x","a":{"body":"y"}}`, `{"":"","body":"\\"}`, `{"body":"x","a":01}`,
	} {
		f.Add([]byte(object))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		rest, value, ok := Cut(bytes.Clone(object), "body")
		if !ok {
			return
		}
		if json.Valid(rest) != json.Valid(object) {
			t.Fatalf("%q is JSON: %v; %q: %v", object, json.Valid(object), rest, json.Valid(rest))
		}
		if !json.Valid(object) {
			return
		}
		var whole, cut map[string]any
		if json.Unmarshal(object, &whole) != nil || json.Unmarshal(rest, &cut) != nil {
			t.Fatalf("%q, %q", object, rest)
		}
		for name := range cut {
			if strings.EqualFold(name, "body") {
				var want string
				if json.Unmarshal([]byte(`"`+string(value)+`"`), &want) != nil || whole[name] != want {
					t.Errorf("%q has the body %q, cut %q", object, whole[name], value)
				}
				if text, ok := unescape(value); ok && string(text) != want {
					t.Errorf("%q is %q, want %q", value, text, want)
				}
				cut[name] = whole[name]
			}
		}
		if !reflect.DeepEqual(whole, cut) {
			t.Errorf("%q has lost more than its body: %q", object, rest)
		}
	})
}

// A long body is read as a short one is, whatever stands in it.
func TestLongBodies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", CutOver)
	for _, tail := range []string{"", "é\n\"\\", "\U0001f600", "\x00", "\u2028<&>"} {
		for _, encoded := range []bool{false, true} {
			text := long + tail
			if encoded {
				text = strings.Repeat("QUJD", CutOver/4)
			}
			raw := http2(object{"body": text, "isBase64Encoded": encoded})
			e, err := Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			want := text
			if encoded {
				want = strings.Repeat("ABC", CutOver/4)
			}
			if string(e.Request.Body) != want {
				t.Errorf("%q, base64 %v: the body has %d bytes, want %d", tail, encoded, len(e.Request.Body), len(want))
			}
			clear(raw) // the runtime uses it again
			if string(e.Request.Body) != want {
				t.Error("the body is the event's own memory")
			}
		}
	}
	// No call, since it has a body, however long that is.
	if k, err := KindOf([]byte(`{"action":"x","body":"` + long + `"}`)); k != Unknown || err == nil {
		t.Errorf("%v, %v", k, err)
	}
	if _, err := Parse([]byte(`{"body":"` + long + `"`)); err == nil {
		t.Error("half an event is read")
	}
}
