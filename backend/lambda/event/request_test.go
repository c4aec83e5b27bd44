package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type object = map[string]any

// http2 makes an event of an HTTP API in payload 2.0. Members of change replace its
// own, or take them out if they are nil.
func http2(change object) []byte {
	return event(object{
		"version": "2.0", "routeKey": "$default", "rawPath": "/shop/", "rawQueryString": "",
		"headers": object{"host": "tunnel.example.com", "content-length": "0", "x-forwarded-for": "192.0.2.7"},
		"requestContext": object{
			"accountId": "123456789012", "apiId": "abcdef1234", "domainName": "tunnel.example.com", "requestId": "LV7fzho-PHcEJPw=",
			"http":     object{"method": "GET", "path": "/shop/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "curl"},
			"routeKey": "$default", "stage": "$default", "timeEpoch": 1587481701067,
		},
		"isBase64Encoded": false,
	}, change)
}

// http1 does the same in payload 1.0.
func http1(change object) []byte {
	return event(object{
		"version": "1.0", "resource": "$default", "path": "/shop/", "httpMethod": "GET",
		"headers":               object{"Host": "tunnel.example.com"},
		"multiValueHeaders":     object{"Host": []string{"tunnel.example.com"}},
		"queryStringParameters": nil, "multiValueQueryStringParameters": nil,
		"requestContext": object{
			"apiId": "abcdef1234", "domainName": "tunnel.example.com", "httpMethod": "GET", "requestId": "id=",
			"identity": object{"sourceIp": "192.0.2.7"}, "stage": "$default", "path": "/shop/",
		},
		"body": nil, "isBase64Encoded": false,
	}, change)
}

func functionURL(change object) []byte {
	base := object{
		"requestContext": object{
			"domainName": "abcdef.lambda-url.eu-west-1.on.aws", "requestId": "id", "routeKey": "$default", "stage": "$default",
			"http": object{"method": "GET", "path": "/shop/", "sourceIp": "192.0.2.7"},
		},
	}
	maps.Copy(base, change)
	return http2(base)
}

// event changes members, and members of requestContext where a name has a dot.
func event(e, change object) []byte {
	for name, value := range change {
		into := e
		if outer, inner, ok := strings.Cut(name, "."); ok {
			into, name = e[outer].(object), inner
		}
		if into[name] = value; value == nil {
			delete(into, name)
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return text
}

func parse(t *testing.T, text []byte) *Request {
	t.Helper()
	r, err := ParseHTTP(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers object
		want    string
	}{
		"none":                 {object{}, ""},
		"as it was sent":       {object{"connection": "keep-alive, Upgrade", "upgrade": "websocket"}, "websocket"},
		"another":              {object{"connection": "Upgrade", "upgrade": "foo/2, bar"}, "foo/2, bar"},
		"cleartext HTTP/2":     {object{"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}, ""},
		"without Connection":   {object{"upgrade": "websocket"}, ""},
		"the gateway took it":  {object{"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}, "websocket"},
		"a key, and no more":   {object{"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}, ""},
		"the server's own one": {object{"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := parse(t, http2(object{"headers": c.headers}))
			if r.Upgrade != c.want {
				t.Errorf("got %q, want %q", r.Upgrade, c.want)
			}
			if r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
				t.Errorf("header %v", r.Header)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text []byte
		want Request
	}{
		"payload 2.0": {
			http2(object{
				"rawPath": "/shop/a", "rawQueryString": "x=1&x=%2F&y", "cookies": []string{"a=1", "b=2"},
				"headers": object{
					"host": "tunnel.example.com", "accept": "text/html,*/*", "x-list": "1,2", "x-empty": "", "connection": "x-hop", "x-hop": "1",
					"te": "trailers", "upgrade": "h2c", "transfer-encoding": "chunked", "content-length": "7",
				},
				"body": "caf\u00e9 \u2603",
			}),
			Request{
				Kind: HTTPv2, ID: "LV7fzho-PHcEJPw=", Method: "GET", Target: "/shop/a?x=1&x=%2F&y", Proto: "https", Host: "tunnel.example.com",
				Header: http.Header{"Accept": {"text/html,*/*"}, "X-List": {"1,2"}, "X-Empty": {""}, "Cookie": {"a=1; b=2"}},
				Body:   []byte("caf\u00e9 \u2603"), SourceIP: "192.0.2.7",
			},
		},
		"payload 1.0": {
			http1(object{
				"path": "/shop/a", "httpMethod": "POST",
				"headers": object{"Host": "tunnel.example.com", "X-List": "2", "X-Only-Here": "1"},
				"multiValueHeaders": object{
					"Host": []string{"tunnel.example.com"}, "X-List": []string{"1", "2"}, "Cookie": []string{"a=1; b=2"}, "Content-Length": []string{"3"},
				},
				"queryStringParameters": object{"x": "2"},
				"body":                  base64.StdEncoding.EncodeToString([]byte{0, 1, 0xff}), "isBase64Encoded": true,
			}),
			Request{
				Kind: HTTPv1, ID: "id=", Method: "POST", Target: "/shop/a?x=2", Proto: "https", Host: "tunnel.example.com",
				Header: http.Header{"X-List": {"1", "2"}, "X-Only-Here": {"1"}, "Cookie": {"a=1; b=2"}},
				Body:   []byte{0, 1, 0xff}, SourceIP: "192.0.2.7",
			},
		},
		"Function URL": {
			functionURL(object{
				"rawPath": "/shop/a%2Fb%20c", "rawQueryString": "q=%20", "cookies": []string{"a=1"},
				"headers": object{"host": "abcdef.lambda-url.eu-west-1.on.aws", "cookie": "a=1"}, "body": "", "isBase64Encoded": true,
			}),
			Request{
				Kind: FunctionURL, ID: "id", Method: "GET", Target: "/shop/a%2Fb%20c?q=%20", Proto: "https", Host: "abcdef.lambda-url.eu-west-1.on.aws",
				Header: http.Header{"Cookie": {"a=1"}}, Body: []byte{}, SourceIP: "192.0.2.7",
			},
		},
		"no headers and no address": {
			http1(object{"headers": nil, "multiValueHeaders": nil, "requestContext.identity": nil}),
			Request{
				Kind: HTTPv1, ID: "id=", Method: "GET", Target: "/shop/", Proto: "https", Host: "tunnel.example.com",
				Header: http.Header{}, Body: []byte{}, SourceIP: "::",
			},
		},
	} {
		if diff := cmp.Diff(&c.want, parse(t, c.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Both kinds of events carry the routeKey "$default", and an API with routes of its
// own sends others: neither says what an event is.
func TestRouteKeySaysNothing(t *testing.T) {
	t.Parallel()
	text := webSocket(Text, object{"requestContext.routeKey": "$default"})
	if k, err := KindOf(text); k != WebSocket || err != nil {
		t.Errorf("a WebSocket's message on $default: %v, %v", k, err)
	}
	if k, err := KindOf(http2(nil)); k != HTTPv2 || err != nil {
		t.Errorf("a request in payload 2.0 on $default: %v, %v", k, err)
	}
	for _, key := range []any{"$connect", "$disconnect", "$default", "ANY /{proxy+}", nil} {
		if k, _ := KindOf(http2(object{"routeKey": key, "requestContext.routeKey": key})); k != HTTPv2 {
			t.Errorf("a request with the routeKey %v is a %v", key, k)
		}
		if k, _ := KindOf(webSocket(Text, object{"requestContext.routeKey": key})); k != WebSocket {
			t.Errorf("a message with the routeKey %v is a %v", key, k)
		}
	}
	if _, err := ParseMessage(http2(nil)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("ParseMessage of a request: %v", err)
	}
	if _, err := ParseHTTP(text); !errors.Is(err, ErrUnsupported) {
		t.Errorf("ParseHTTP of a message: %v", err)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"plain", http2(object{"rawPath": "/a/b", "rawQueryString": "x=%41&y=/?&z"}), "/a/b?x=%41&y=/?&z"},
		{"an empty path", http2(object{"rawPath": "", "requestContext.http": object{"method": "GET"}}), "/"},
		{"no slash", http2(object{"rawPath": "a"}), "/a"},
		{"decoded", http2(object{"rawPath": "/a b/\u00e9\x01#?%41"}), "/a%20b/%C3%A9%01%23%3F%2541"},
		{"kept", http2(object{"rawPath": "/~._-!$&'()*+,;=:@[]|^"}), "/~._-!$&'()*+,;=:@[]|^"},
		{"query in need of repair", http2(object{"rawQueryString": "a= b\u00e9#c"}), "/shop/?a=%20b%C3%A9%23c"},
		{"encoded, Function URL", functionURL(object{"rawPath": "/a%2Fb%23%3F%25%c3%a9"}), "/a%2Fb%23%3F%25%c3%a9"},
		{"encoded, REST API", http1(object{"version": nil, "path": "/a%2Fb%20"}), "/a%2Fb%20"},
		{"decoded, payload 1.0", http1(object{"path": "/a b%"}), "/a%20b%25"},
		{"1.0, several values", http1(object{
			"queryStringParameters":           object{"a": "3"},
			"multiValueQueryStringParameters": object{"a": []string{"1", "2", "3"}, "b c": []string{"d&e=f+g%\u00e9;#"}, "empty": []string{""}},
		}), "/shop/?a=1&a=2&a=3&b%20c=d%26e%3Df%2Bg%25%C3%A9%3B%23&empty="},
		{"1.0, one value", http1(object{"queryStringParameters": object{"path": "/a/b?c:d@e,f"}}), "/shop/?path=/a/b?c:d@e,f"},
		{"named stage", http2(object{
			"rawPath": "/live/shop/", "requestContext.stage": "live", "requestContext.domainName": "abc.execute-api.eu-west-1.amazonaws.com",
		}), "/shop/"},
		{"named stage alone", http1(object{
			"path": "/live", "requestContext.stage": "live", "requestContext.domainName": "abc.execute-api.eu-west-1.amazonaws.com",
		}), "/"},
		{"named stage behind a domain", http2(object{"rawPath": "/live/shop/", "requestContext.stage": "live"}), "/live/shop/"},
		{"a name that only begins like the stage", http2(object{
			"rawPath": "/lively/", "requestContext.stage": "live", "requestContext.domainName": "abc.execute-api.eu-west-1.amazonaws.com",
		}), "/lively/"},
		{"REST API, stage not in the path", http1(object{
			"version": nil, "path": "/live/a", "requestContext.stage": "live", "requestContext.domainName": "abc.execute-api.eu-west-1.amazonaws.com",
		}), "/live/a"},
	} {
		if got := parse(t, c.text).Target; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The parameters keep the order of the event, which is that of the visitor's URL as
// far as the event has it.
func TestQueryKeepsItsOrder(t *testing.T) {
	t.Parallel()
	text := bytes.Replace(http1(object{"multiValueQueryStringParameters": "HERE"}), []byte(`"HERE"`),
		[]byte(`{"z":["1"],"a":["2","3"],"m":null,"k":["4"]}`), 1)
	if got, want := parse(t, text).Target, "/shop/?z=1&a=2&a=3&k=4"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStripPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ target, prefix, want, stripped string }{
		{"/tunnels/shop/?a", "/tunnels", "/shop/?a", "/tunnels"},
		{"/tunnels/shop/", "/tunnels/", "/shop/", "/tunnels"},
		{"/tunnels", "/tunnels", "/", "/tunnels"},
		{"/tunnels?a", "/tunnels", "/?a", "/tunnels"},
		{"/tunnelsx/a", "/tunnels", "/tunnelsx/a", ""},
		{"/shop/", "/tunnels", "/shop/", ""},
		{"/shop/", "", "/shop/", ""},
		{"/shop/", "/", "/shop/", ""},
		{"/a/b/c", "/a/b", "/c", "/a/b"},
	} {
		r := Request{Target: c.target}
		if r.StripPrefix(c.prefix); r.Target != c.want || r.Prefix != c.stripped {
			t.Errorf("%q without %q is %q below %q, want %q below %q", c.target, c.prefix, r.Target, r.Prefix, c.want, c.stripped)
		}
	}
	// The stage is taken off once, also if a tunnel has its name.
	r := parse(t, http2(object{
		"rawPath": "/live/live/a", "requestContext.stage": "live", "requestContext.domainName": "abc.execute-api.eu-west-1.amazonaws.com",
	}))
	if r.StripPrefix("/live"); r.Target != "/live/a" || r.Prefix != "/live" {
		t.Errorf("%q below %q", r.Target, r.Prefix)
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{
		"nothing":                     nil,
		"no object":                   []byte(`"x"`),
		"cut short":                   http2(nil)[:200],
		"no method":                   http2(object{"requestContext.http": object{"path": "/", "sourceIp": "192.0.2.7"}}),
		"a method with a blank":       http2(object{"requestContext.http": object{"method": "GET /x"}}),
		"CONNECT":                     http2(object{"requestContext.http": object{"method": "CONNECT"}}),
		"a header name with a colon":  http2(object{"headers": object{"a:b": "c"}}),
		"a header value of two lines": http2(object{"headers": object{"a": "b\r\nc: d"}}),
		"headers that are no object":  http2(object{"headers": []string{"a"}}),
		"a header that is a number":   http2(object{"headers": object{"a": 1}}),
		"a cookie of two lines":       http2(object{"cookies": []string{"a\nb"}}),
		"a body that is not base64":   http2(object{"body": "%%%", "isBase64Encoded": true}),
		"a body that is a number":     http2(object{"body": 1}),
	} {
		if r, err := ParseHTTP(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// What a service decodes is what the gateway has decoded.
func FuzzDecodedPath(f *testing.F) {
	f.Add("/a b/\u00e9#?%2541//..")
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") || !utf8.ValidString(path) {
			t.Skip()
		}
		r, err := ParseHTTP(http2(object{"rawPath": path}))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := url.PathUnescape(r.Target); err != nil || got != path {
			t.Errorf("%q became %q, which is read as %q, %v", path, r.Target, got, err)
		}
	})
}

// What a service reads from the rebuilt query string are the parameters of the event.
func FuzzRebuiltQuery(f *testing.F) {
	f.Add("a", "b c&d=e+f;g%", "\u00e9#\x00")
	f.Fuzz(func(t *testing.T, name, one, two string) {
		if !utf8.ValidString(name) || !utf8.ValidString(one) || !utf8.ValidString(two) { // what JSON cannot hold
			t.Skip()
		}
		values := url.Values{name: {one, two}}
		r, err := ParseHTTP(http1(object{"multiValueQueryStringParameters": values}))
		if err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(r.Target, "?")
		got, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		if diff := cmp.Diff(values, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	})
}
