package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// received is what a visitor gets of what a function has returned, by the rules of
// AWS's documentation.
type received struct {
	Status int
	Header http.Header
	Body   string
}

func receive(t *testing.T, k Kind, text []byte) received {
	t.Helper()
	var out struct {
		StatusCode        *int                `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
		Cookies           []string            `json:"cookies"`
		Body              string              `json:"body"`
		IsBase64Encoded   bool                `json:"isBase64Encoded"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	if out.StatusCode == nil {
		t.Fatalf("%.200s: no statusCode", text)
	}
	if k == HTTPv1 && out.Cookies != nil || k != HTTPv1 && out.MultiValueHeaders != nil {
		t.Fatalf("%.200s: a member that a %v does not know", text, k)
	}
	r := received{Status: *out.StatusCode, Header: http.Header{}, Body: out.Body}
	for name, value := range out.Headers {
		r.Header.Add(name, value)
	}
	for name, values := range out.MultiValueHeaders {
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
	for _, cookie := range out.Cookies {
		r.Header.Add("Set-Cookie", cookie)
	}
	if out.IsBase64Encoded {
		body, err := base64.StdEncoding.DecodeString(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = string(body)
	}
	return r
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer Answer
		want   received
		joined http.Header // instead of want's, where only one value may stand
		binary bool
	}{
		"text": {
			answer: Answer{Status: 200, Header: http.Header{"Content-Type": {"text/html"}, "Content-Length": {"99"}}, Body: []byte("<p>\u00e9\u2028</p>")},
			want:   received{200, http.Header{"Content-Type": {"text/html"}}, "<p>\u00e9\u2028</p>"},
		},
		"no header, no body": {answer: Answer{Status: 200}, want: received{200, http.Header{}, ""}},
		"not UTF-8": {
			answer: Answer{Status: 200, Body: []byte("\xff\x00")}, want: received{200, http.Header{}, "\xff\x00"}, binary: true,
		},
		"an encoding that looks like text": {
			answer: Answer{Status: 200, Header: http.Header{"Content-Encoding": {"br"}}, Body: []byte("text")},
			want:   received{200, http.Header{"Content-Encoding": {"br"}}, "text"}, binary: true,
		},
		"identity is no encoding": {
			answer: Answer{Status: 200, Header: http.Header{"Content-Encoding": {" Identity "}}, Body: []byte("text")},
			want:   received{200, http.Header{"Content-Encoding": {" Identity "}}, "text"},
		},
		"control characters": {
			answer: Answer{Status: 200, Body: bytes.Repeat([]byte{1}, 100)}, want: received{200, http.Header{}, strings.Repeat("\x01", 100)}, binary: true,
		},
		"cookies and repeated fields": {
			answer: Answer{Status: 302, Header: http.Header{
				"Set-Cookie": {"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"}, "Vary": {"Accept", "Cookie"}, "Location": {"/a", "/b"}, "X-Empty": {""},
			}},
			want: received{302, http.Header{
				"Set-Cookie": {"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"}, "Vary": {"Accept", "Cookie"}, "Location": {"/a", "/b"}, "X-Empty": {""},
			}, ""},
			joined: http.Header{
				"Set-Cookie": {"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"}, "Vary": {"Accept, Cookie"}, "Location": {"/a"}, "X-Empty": {""},
			},
		},
		"hop-by-hop": {
			answer: Answer{Status: 200, Header: http.Header{
				"Connection": {"keep-alive, X-Hop"}, "X-Hop": {"1"}, "Transfer-Encoding": {"chunked"}, "Keep-Alive": {"1"}, "Trailer": {"A"},
				"Upgrade": {"h2c"}, "Te": {"x"}, "Proxy-Authenticate": {"x"}, "X-Stays": {"1"},
			}, Body: []byte("a")},
			want: received{200, http.Header{"X-Stays": {"1"}}, "a"},
		},
		"HEAD": {
			answer: Answer{Status: 200, Header: http.Header{"Content-Length": {"1234"}}, Body: []byte("no"), Head: true},
			want:   received{200, http.Header{"Content-Length": {"1234"}}, ""},
		},
		"204": {
			answer: Answer{Status: 204, Header: http.Header{"Content-Length": {"2"}, "Etag": {`"x"`}}, Body: []byte("no")},
			want:   received{204, http.Header{"Etag": {`"x"`}}, ""},
		},
		"304": {
			answer: Answer{Status: 304, Header: http.Header{"Content-Length": {"2"}, "Etag": {`"x"`}}, Body: []byte("no"), Head: true},
			want:   received{304, http.Header{"Etag": {`"x"`}}, ""},
		},
	} {
		for _, k := range []Kind{HTTPv1, HTTPv2, FunctionURL} {
			text, err := c.answer.Encode(k)
			if err != nil {
				t.Errorf("%s to a %v: %v", name, k, err)
				continue
			}
			want := c.want
			if c.joined != nil && k != HTTPv1 {
				want.Header = c.joined
			}
			if diff := cmp.Diff(want, receive(t, k, text)); diff != "" {
				t.Errorf("%s to a %v (-want +got):\n%s", name, k, diff)
			}
			if got := bytes.Contains(text, []byte(`"isBase64Encoded":true`)); got != c.binary {
				t.Errorf("%s to a %v: base64 %v", name, k, got)
			}
		}
	}
}

// The two formats do not understand each other's answers: the one knows no cookies,
// the other no multiValueHeaders.
func TestAnswerFitsItsEvent(t *testing.T) {
	t.Parallel()
	a := Answer{Status: 200, Header: http.Header{"Set-Cookie": {"a=1", "b=2"}}}
	for _, c := range []struct {
		text        []byte
		has, hasNot string
	}{
		{http1(nil), `"multiValueHeaders":{"Set-Cookie":["a=1","b=2"]}`, `"cookies"`},
		{http2(nil), `"cookies":["a=1","b=2"]`, `"multiValueHeaders"`},
		{functionURL(nil), `"cookies":["a=1","b=2"]`, `"multiValueHeaders"`},
	} {
		r := parse(t, c.text)
		text, err := a.Encode(r.Kind)
		if err != nil {
			t.Fatal(err)
		}
		if s := string(text); !strings.Contains(s, c.has) || strings.Contains(s, c.hasNot) {
			t.Errorf("to a %v: %s", r.Kind, s)
		}
	}
}

func TestNoAnswers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{-1, 0, 99, 101, 199, 600, 1000} {
		if text, err := (&Answer{Status: status}).Encode(HTTPv2); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("status %d: %s, %v", status, text, err)
		}
	}
	for _, k := range []Kind{Unknown, WebSocket, CustomResource, Queue} {
		if text, err := (&Answer{Status: 200}).Encode(k); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("to a %v: %s, %v", k, text, err)
		}
	}
}

// Lambda counts the encoded form, and fails with an answer over its limit.
func TestLargestAnswers(t *testing.T) {
	t.Parallel()
	const head = 100 // more than the rest of these answers takes
	for _, c := range []struct {
		name string
		body []byte
		fits bool
	}{
		{"text that fits", bytes.Repeat([]byte("a"), MaxPayload-head), true},
		{"text that does not", bytes.Repeat([]byte("a"), MaxPayload), false},
		{"binary that fits", bytes.Repeat([]byte{0xff}, (MaxPayload-head)/4*3), true},
		{"binary that does not", bytes.Repeat([]byte{0xff}, MaxPayload/4*3+1), false},
		{"text of quotes", bytes.Repeat([]byte(`"`), (MaxPayload-head)/4*3), true}, // base64 takes less
	} {
		for _, k := range []Kind{HTTPv1, HTTPv2} {
			text, err := (&Answer{Status: 200, Body: c.body}).Encode(k)
			if (err == nil) != c.fits || err != nil && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s to a %v: %v", c.name, k, err)
			}
			if len(text) > MaxPayload {
				t.Errorf("%s to a %v: %d bytes", c.name, k, len(text))
			}
		}
	}
}

func FuzzAnswerBody(f *testing.F) {
	f.Add([]byte("a\"\\\b\f\n\r\t\x00\x1f\x7f\u2028\u2029\ufffd<>&\U0001f600"))
	f.Add([]byte("\xe2\x80"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, k := range []Kind{HTTPv1, HTTPv2, FunctionURL} {
			text, err := (&Answer{Status: 200, Body: body}).Encode(k)
			if err != nil {
				t.Fatal(err)
			}
			if got := receive(t, k, text).Body; got != string(body) {
				t.Errorf("%q became %q", body, got)
			}
		}
		valid := bytes.ToValidUTF8(body, nil)
		if got, want := escapedSize(valid), len(appendEscapedText(nil, valid)); got != want {
			t.Errorf("%q takes %d bytes, and not %d", valid, want, got)
		}
	})
}

func TestStream(t *testing.T) {
	t.Parallel()
	body := &closeNotice{Reader: strings.NewReader("data: 1\n\n")}
	s := Stream{
		Status: 200,
		Header: http.Header{
			"Content-Type": {"text/event-stream"}, "Set-Cookie": {"a=1", "b=2"}, "Vary": {"A", "B"}, "Connection": {"close"}, "Content-Length": {"9"},
		},
		Body: body,
	}
	res, err := s.Response()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Close(); err != nil || !body.closed {
		t.Errorf("closed: %v, %v", body.closed, err)
	}
	want := `{"statusCode":200,"headers":{"Content-Type":"text/event-stream","Vary":"A, B"},"cookies":["a=1","b=2"]}` +
		strings.Repeat("\x00", 8) + "data: 1\n\n"
	if string(text) != want {
		t.Errorf("%q, want %q", text, want)
	}
	if got := res.ContentType(); got != "application/vnd.awslambda.http-integration-response" {
		t.Errorf("content type %q", got)
	}
}

func TestStreamsWithoutBody(t *testing.T) {
	t.Parallel()
	for _, status := range []int{204, 205, 304} {
		body := &closeNotice{Reader: strings.NewReader("no")}
		res, err := (&Stream{Status: status, Body: body}).Response()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res)
		if want := `{"statusCode":` + strconv.Itoa(status) + `}` + strings.Repeat("\x00", 8); string(text) != want {
			t.Errorf("%q, want %q", text, want)
		}
		if res.Close(); !body.closed {
			t.Errorf("%d: the body is still open", status)
		}
	}
	head := &closeNotice{Reader: strings.NewReader("no")}
	res, err := (&Stream{Status: 200, Header: http.Header{"Content-Length": {"77"}}, Body: head, Head: true}).Response()
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(res); string(text) != `{"statusCode":200,"headers":{"Content-Length":"77"}}`+strings.Repeat("\x00", 8) {
		t.Errorf("HEAD: %q", text)
	}
	if res.Close(); !head.closed {
		t.Error("HEAD: the body is still open")
	}
	if _, err := (&Stream{Status: 101}).Response(); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("101: %v", err)
	}
	res, err = (&Answer{Status: 200, Body: []byte("whole")}).Stream().Response()
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(res); !bytes.HasSuffix(text, []byte("\x00whole")) {
		t.Errorf("%q", text)
	}
	if s := (&Answer{Status: 200, Body: []byte("no"), Head: true}).Stream(); s.Body != nil {
		t.Error("the answer to HEAD has a body")
	}
}

type closeNotice struct {
	io.Reader
	closed bool
}

func (c *closeNotice) Close() error {
	c.closed = true
	return nil
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	reader := &Request{Method: "GET", Header: http.Header{"Accept": {"text/html"}}}
	a := Refuse(reader, 503, http.Header{"Retry-After": {"7"}}, "<busy>")
	if a.Status != 503 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || a.Header.Get("Retry-After") != "7" ||
		!bytes.Contains(a.Body, []byte("&lt;busy&gt;")) {
		t.Errorf("%+v\n%s", a, a.Body)
	}
	if a := Refuse(nil, 404, nil, "none"); string(a.Body) != "none\n" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%+v\n%s", a, a.Body)
	}
	if a := Refuse(&Request{Method: "HEAD", Header: http.Header{}}, 404, nil, "none"); len(a.Body) > 0 || !a.Head || a.Header.Get("Content-Length") != "5" {
		t.Errorf("%+v\n%s", a, a.Body)
	}
}
