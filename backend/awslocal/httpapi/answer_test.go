package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/runtime"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	const failed = `500 {"message":"Internal Server Error"}`
	for _, tt := range []struct {
		name, payload string
		v2, v1        string // status and body
		header        http.Header
	}{
		{"whole", `{"statusCode":201,"headers":{"content-type":"text/plain","x-n":7,"x-b":true},"body":"made"}`, "201 made", "201 made",
			http.Header{"Content-Type": {"text/plain"}, "X-N": {"7"}, "X-B": {"true"}, "Content-Length": {"4"}}},
		{"base64", `{"statusCode":200,"body":"/w==","isBase64Encoded":true}`, "200 \xff", "200 \xff", nil},
		{"not base64", `{"statusCode":200,"body":"!","isBase64Encoded":true}`, failed, failed, nil},
		{"implied object", `{"a":1}`, `200 {"a":1}`, failed, nil},
		{"implied object with fields alike", `{"body":{"a":1}}`, `200 {"body":{"a":1}}`, failed, nil},
		{"cut", `{"statusCode":200`, failed, failed, nil},
		{"implied text", `"hello"`, "200 hello", failed, nil},
		{"implied null", `null`, "200 null", failed, nil},
		{"implied array", `[1]`, "200 [1]", failed, nil},
		{"no JSON", `hello`, failed, failed, nil},
		{"nothing", ``, failed, failed, nil},
		{"status as text", `{"statusCode":"200"}`, failed, failed, nil},
		{"status 99", `{"statusCode":99}`, failed, failed, nil},
		{"status 101", `{"statusCode":101}`, failed, failed, nil},
		{"body as object", `{"statusCode":200,"body":{}}`, failed, failed, nil},
		{"header as array", `{"statusCode":200,"headers":{"a":["b"]}}`, failed, failed, nil},
		{"smuggled header", `{"statusCode":200,"headers":{"a":"b\r\nc: d"}}`, failed, failed, nil},
		{"hop by hop", `{"statusCode":200,"headers":{"connection":"x-gone","x-gone":"1","transfer-encoding":"chunked","upgrade":"websocket","trailer":"x","content-length":"99"},"body":"ab"}`,
			"200 ab", "200 ab", http.Header{"Connection": nil, "X-Gone": nil, "Transfer-Encoding": nil, "Upgrade": nil, "Trailer": nil, "Content-Length": {"2"}}},
		{"empty 204", `{"statusCode":204}`, "204 ", "204 ", http.Header{"Content-Length": nil, "Content-Type": nil}},
	} {
		for format, want := range map[Format]string{V1: tt.v1, V2: tt.v2} {
			w := ask(newAPI(t, Config{Function: answering(tt.payload), Format: format}), "GET", "/", "")
			if got := strings.Join([]string{http.StatusText(w.Code), w.Body.String()}, " "); got != http.StatusText(atoi(want[:3]))+want[3:] {
				t.Errorf("%s, format %s: %d %s", tt.name, format, w.Code, w.Body)
			}
			if w.Code == 500 {
				continue
			}
			for name, values := range tt.header {
				if diff := cmp.Diff(values, w.Result().Header[name]); diff != "" {
					t.Errorf("%s, format %s: %s: %s", tt.name, format, name, diff)
				}
			}
		}
	}
}

func atoi(s string) int { return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0') }

func TestRepeatedAnswerHeaders(t *testing.T) {
	t.Parallel()
	const payload = `{"statusCode":200,"headers":{"x-a":"one"},"multiValueHeaders":{"x-a":["two","three"],"Set-Cookie":["a=1","b=2"]},"cookies":["c=3","d=4"]}`
	w := ask(newAPI(t, Config{Function: answering(payload), Format: V2}), "GET", "/", "")
	if diff := cmp.Diff(http.Header{"X-A": {"one"}, "Set-Cookie": {"c=3", "d=4"}}, only(w.Header(), "X-A", "Set-Cookie")); diff != "" {
		t.Error("format 2.0:", diff)
	}
	w = ask(newAPI(t, Config{Function: answering(payload), Format: V1}), "GET", "/", "")
	if diff := cmp.Diff(http.Header{"X-A": {"two", "three"}, "Set-Cookie": {"a=1", "b=2"}}, only(w.Header(), "X-A", "Set-Cookie")); diff != "" {
		t.Error("format 1.0:", diff)
	}
}

func only(h http.Header, names ...string) http.Header {
	some := make(http.Header)
	for _, name := range names {
		some[name] = h[name]
	}
	return some
}

func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	for payload, length := range map[string]string{
		`{"statusCode":200,"body":"abc"}`:                        "3",
		`{"statusCode":200,"headers":{"Content-Length":"1234"}}`: "1234",
		`{"statusCode":200}`:                                     "0",
	} {
		addr := serve(t, newAPI(t, Config{Function: answering(payload)}).Server())
		resp, body := exchange(t, addr, "HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if resp.StatusCode != 200 || body != "" || resp.Header.Get("Content-Length") != length {
			t.Errorf("%s: %d %v %q", payload, resp.StatusCode, resp.Header, body)
		}
	}
}

func TestNoUpgradeAndNoTrailers(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200,"body":"plain"}`)
	addr := serve(t, newAPI(t, Config{Function: f}).Server())
	resp, body := exchange(t, addr, "GET", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X-Mine\r\nX-Mine: 1\r\nUpgrade: websocket\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n")
	if resp.StatusCode != 200 || body != "plain" {
		t.Errorf("an upgrade is answered with %d %q", resp.StatusCode, body)
	}
	headers := f.event(t)["headers"].(map[string]any)
	for _, name := range []string{"connection", "upgrade", "keep-alive", "te", "x-mine"} {
		if _, ok := headers[name]; ok {
			t.Errorf("%s reached the function", name)
		}
	}
	exchange(t, addr, "POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-After\r\n\r\n3\r\nabc\r\n0\r\nX-After: 1\r\n\r\n")
	e := f.event(t)
	headers = e["headers"].(map[string]any)
	if e["body"] != "abc" || headers["content-length"] != "3" || headers["transfer-encoding"] != nil || headers["x-after"] != nil || headers["trailer"] != nil {
		t.Errorf("chunked: %v", e)
	}
}

// FuzzAnswer: whatever a function returns, the visitor gets a whole answer.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":"b"},"multiValueHeaders":{"c":["d",1]},"cookies":["e=f"],"body":"/w==","isBase64Encoded":true}`), true, false)
	f.Add([]byte(`"text"`), false, true)
	f.Fuzz(func(t *testing.T, payload []byte, old, head bool) {
		c := Config{Function: &function{result: runtime.Result{Payload: payload}}}
		if old {
			c.Format = V1
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		w := ask(newAPI(t, c), method, "/", "")
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("status %d", w.Code)
		}
		if head && w.Body.Len() > 0 {
			t.Error("HEAD got a body")
		}
		for name, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsAny(name+v, "\r\n\x00") {
					t.Errorf("header %q: %q", name, v)
				}
			}
		}
	})
}
