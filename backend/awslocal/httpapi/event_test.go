package httpapi

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// published reads an event that AWS's own library publishes.
func published(t *testing.T, name string) map[string]any {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "events", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// compareShapes reports every path that only one of the events has, or has with another
// type. Null goes with any type; objects below one of the open paths hold what they like.
func compareShapes(path string, want, got any, open []string, report func(string)) {
	if slices.Contains(open, path) || got == nil {
		return
	}
	w, isObject := want.(map[string]any)
	g, alsoObject := got.(map[string]any)
	if !isObject || !alsoObject {
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			report(fmt.Sprintf("%s is %T, and published as %T", path, got, want))
		}
		return
	}
	for name, v := range w {
		if sub, ok := g[name]; ok {
			compareShapes(path+"/"+name, v, sub, open, report)
		} else {
			report("missing " + path + "/" + name)
		}
	}
	for name := range g {
		if _, ok := w[name]; !ok {
			report("more " + path + "/" + name)
		}
	}
}

func TestEventsAsPublished(t *testing.T) {
	t.Parallel()
	const target = "/my/path?parameter1=value1&parameter1=value2&parameter2=value"
	header := []string{"Cookie", "cookie1; cookie2", "Header1", "value1", "User-Agent", "agent", "Content-Type", "text/plain"}
	open := []string{"/headers", "/multiValueHeaders", "/queryStringParameters", "/multiValueQueryStringParameters"}
	for _, tt := range []struct {
		file     string
		format   Format
		url      bool
		expected []string // differences that are right
	}{
		{file: "apigw-v2-request-no-authorizer.json", format: V2, expected: []string{
			"missing /requestContext/authentication", // only with mutual TLS
			"more /cookies", "more /queryStringParameters", "more /body"}},
		{file: "apigw-v2-request-jwt-authorizer.json", format: V2, expected: []string{
			"missing /requestContext/authentication", "missing /requestContext/authorizer",
			"missing /pathParameters", "missing /stageVariables"}}, // of routes and stages that have them
		// A REST API's: HTTP APIs add the version, and where it is told whether the body is base64.
		{file: "apigw-request.json", format: V1, expected: []string{
			"missing /requestContext/authorizer", "more /version", "more /isBase64Encoded",
			"missing /requestContext/identity/apiKey", "missing /requestContext/identity/apiKeyId",
			"missing /requestContext/identity/clientCert", "more /requestContext/identity/principalOrgId"}},
		// The published one was called with IAM. Recorded ones have routeKey and stage.
		{file: "lambda-urls-request.json", url: true, expected: []string{
			"missing /requestContext/authorizer", "more /routeKey", "more /requestContext/routeKey", "more /requestContext/stage"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			f := answering(`{"statusCode":200}`)
			if tt.url {
				ask(newURL(t, URLConfig{Function: f}), "POST", target, "Hello", header...)
			} else {
				ask(newAPI(t, Config{Function: f, Format: tt.format}), "POST", target, "Hello", header...)
			}
			var differences []string
			compareShapes("", published(t, tt.file), f.event(t), open, func(s string) { differences = append(differences, s) })
			slices.Sort(differences)
			slices.Sort(tt.expected)
			if diff := cmp.Diff(tt.expected, differences); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEventV2(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200}`)
	a := newAPI(t, Config{Function: f})
	resp, _ := exchange(t, serve(t, a.Server()), "POST", "POST /a%2Fb//c?x=1&x=%20+2&y&z;w=%zz HTTP/1.1\r\nHost: t.example.com:8081\r\n"+
		"X-Two: one\r\nx-two: two, three\r\nCookie: a=1; b=2\r\nCookie: c=3\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: gopher\r\n"+
		"X-Forwarded-Port: 70\r\nX-Amzn-Trace-Id: Root=mine\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nUser-Agent: agent\r\n\r\nabc")
	if resp.StatusCode != 200 || len(resp.Header.Get("Apigw-Requestid")) != 16 {
		t.Errorf("answered %d %v", resp.StatusCode, resp.Header)
	}
	e := f.event(t)
	context := e["requestContext"].(map[string]any)
	for _, name := range []string{"requestId", "time", "timeEpoch"} {
		delete(context, name)
	}
	headers := e["headers"].(map[string]any)
	if trace := headers["x-amzn-trace-id"].(string); !strings.HasPrefix(trace, "Self=1-") || !strings.HasSuffix(trace, ";Root=mine") {
		t.Errorf("trace ID %q", trace)
	}
	delete(headers, "x-amzn-trace-id")
	want := map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": "/a/b//c", "rawQueryString": "x=1&x=%20+2&y&z;w=%zz",
		"cookies": []any{"a=1", "b=2", "c=3"}, "body": "abc", "isBase64Encoded": false,
		"headers": map[string]any{"host": "t.example.com:8081", "x-two": "one,two, three", "x-forwarded-for": "9.9.9.9, 127.0.0.1",
			"x-forwarded-proto": "https", "x-forwarded-port": "443", "content-type": "text/plain; charset=utf-8", "content-length": "3", "user-agent": "agent"},
		"queryStringParameters": map[string]any{"x": "1,  2", "y": "", "z;w": "%zz"},
		"requestContext": map[string]any{"accountId": "123456789012", "apiId": "a1b2c3d4e5", "domainName": "t.example.com", "domainPrefix": "t",
			"routeKey": "$default", "stage": "$default",
			"http": map[string]any{"method": "POST", "path": "/a/b//c", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "agent"}},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

func TestEventV1(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200}`)
	ask(newAPI(t, Config{Function: f, Format: V1}), "GET", "/a%2fb?x=1&x=2", "", "X-Two", "one", "X-Two", "two", "Cookie", "a=1; b=2", "X-Forwarded-For", "9.9.9.9")
	e := f.event(t)
	for _, tt := range []struct {
		path string
		want any
	}{
		{"version", "1.0"}, {"path", "/a/b"}, {"httpMethod", "GET"}, {"resource", "$default"},
		{"body", nil}, {"pathParameters", nil}, {"stageVariables", nil},
		{"multiValueHeaders/x-two", []any{"one", "two"}}, {"headers/x-two", "one,two"}, {"headers/cookie", "a=1; b=2"},
		{"headers/Host", "example.com"}, {"headers/X-Forwarded-For", "9.9.9.9, 192.0.2.1"},
		{"multiValueQueryStringParameters/x", []any{"1", "2"}}, {"queryStringParameters/x", "1"},
		{"requestContext/identity/sourceIp", "192.0.2.1"}, {"requestContext/identity/user", nil}, {"requestContext/stage", "$default"},
		{"requestContext/protocol", "HTTP/1.1"},
	} {
		var got any = e
		for name := range strings.SplitSeq(tt.path, "/") {
			object := got.(map[string]any)
			var ok bool
			if got, ok = object[name]; !ok {
				t.Fatalf("no %s in %v", tt.path, object)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.path, diff)
		}
	}
}

func TestPathsAreDecoded(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200}`)
	for _, tt := range []struct{ target, http, url string }{
		{"/", "/", "/"},
		{"/a%20b+c", "/a b+c", "/a%20b+c"},
		{"/a%2Fb", "/a/b", "/a%2Fb"},
		{"/a%23b", "/a#b", "/a%23b"},
		{"/a%3Fb=c", "/a", "/a%3Fb=c"},
		{"/a%25b", "/a%b", "/a%25b"},
		{"/%E2%82%AC", "/€", "/%E2%82%AC"},
		{"/%FF", "/�", "/%FF"},
		{"/a/../b//c/.", "/a/../b//c/.", "/a/../b//c/."},
		{"http://other.example.com/x%2Fy", "/x/y", "/x%2Fy"},
	} {
		ask(newAPI(t, Config{Function: f}), "GET", tt.target, "")
		if got := f.event(t)["rawPath"]; got != tt.http {
			t.Errorf("%s: HTTP API says %q", tt.target, got)
		}
		ask(newURL(t, URLConfig{Function: f}), "GET", tt.target, "")
		if got := f.event(t)["rawPath"]; got != tt.url {
			t.Errorf("%s: function URL says %q", tt.target, got)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200}`)
	a := newAPI(t, Config{Function: f})
	for _, tt := range []struct {
		kind, encoding, body string
		want                 any
		isBase64             bool
	}{
		{"text/html", "", "abc", "abc", false},
		{"application/json; charset=utf-8", "", "{}", "{}", false},
		{"application/x-www-form-urlencoded", "", "a=b", "YT1i", true},
		{"application/octet-stream", "", "abc", "YWJj", true},
		{"", "", "abc", "YWJj", true},
		{"text/plain", "gzip", "abc", "YWJj", true},
		{"text/plain", "", "\xff", "/w==", true},
		{"application/octet-stream", "", "", nil, false},
	} {
		header := []string{"Content-Type", tt.kind, "Content-Encoding", tt.encoding}
		ask(a, "POST", "/", tt.body, header...)
		if e := f.event(t); e["body"] != tt.want || e["isBase64Encoded"] != tt.isBase64 {
			t.Errorf("%q of %q %q: %v, %v", tt.body, tt.kind, tt.encoding, e["body"], e["isBase64Encoded"])
		}
	}
}

func TestFunctionURLEvent(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200}`)
	ask(newURL(t, URLConfig{Function: f}), "GET", "/", "")
	e := f.event(t)
	context := e["requestContext"].(map[string]any)
	if got := context["domainName"]; got != "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws" {
		t.Errorf("domain name %v", got)
	}
	if context["accountId"] != "anonymous" {
		t.Errorf("account %v", context["accountId"])
	}
}
