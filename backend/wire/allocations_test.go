package wire

import (
	"bytes"
	"net/http"
	"testing"

	"culvert/backend/alloctest"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations(t)) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations(b)) }

// operations are the heads of form 2 and the messages of form 1, as a browser and an
// ordinary service make them.
func operations(tb testing.TB) []alloctest.Operation {
	request := &RequestHead{
		Method: "GET", Target: "/v1/items?page=2&sort=asc", Host: "shop.example.com", Prefix: "/shop", RemoteAddr: "203.0.113.9",
		Header: http.Header{
			"Accept":            {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Encoding":   {"gzip, deflate, br, zstd"},
			"Accept-Language":   {"en-GB,en;q=0.5"},
			"Cookie":            {"session=0123456789abcdef0123456789abcdef; theme=dark"},
			"Referer":           {"https://shop.example.com/v1/items"},
			"Sec-Fetch-Dest":    {"document"},
			"Sec-Fetch-Mode":    {"navigate"},
			"Sec-Fetch-Site":    {"same-origin"},
			"User-Agent":        {"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
			"X-Forwarded-For":   {"203.0.113.9"},
			"X-Forwarded-Host":  {"shop.example.com"},
			"X-Forwarded-Proto": {"https"},
		},
	}
	response := &ResponseHead{
		Status: 200, ContentLength: 200,
		Header: http.Header{
			"Cache-Control": {"no-store"},
			"Content-Type":  {"application/json"},
			"Date":          {"Thu, 01 Jan 2026 00:00:00 GMT"},
			"Etag":          {`"0123456789abcdef"`},
			"Server":        {"bench"},
			"Set-Cookie":    {"a=b; Path=/", "c=d; Path=/; HttpOnly"},
		},
	}
	must := func(err error) {
		if err != nil {
			tb.Error(err)
		}
	}
	encoded := func(message any) []byte {
		text, err := Encode(message)
		must(err)
		return text
	}
	requestBytes, err := AppendRequestHead(nil, request)
	must(err)
	responseBytes, err := AppendResponseHead(nil, response)
	must(err)
	body := bytes.Repeat([]byte("x"), 200)
	httpRequest := &HTTPRequest{RequestID: "0123456789abcdef", Method: request.Method, URI: request.Target, Header: request.Header, Timestamp: 1767225600000}
	httpResponse := &HTTPResponse{RequestID: "0123456789abcdef", StatusCode: 200, Header: response.Header, Body: body}
	requestText, responseText := encoded(httpRequest), encoded(httpResponse)

	buf := make([]byte, 0, 4<<10)
	decode := func(text []byte) func() {
		return func() {
			_, err := Decode(text, MaxMessage)
			must(err)
		}
	}
	return []alloctest.Operation{
		{Name: "request/append", Max: 0, Bytes: int64(len(requestBytes)), Do: func() {
			_, err := AppendRequestHead(buf, request)
			must(err)
		}},
		{Name: "request/decode", Max: 7, Bytes: int64(len(requestBytes)), Do: func() {
			_, err := DecodeRequestHead(requestBytes)
			must(err)
		}},
		{Name: "response/append", Max: 0, Bytes: int64(len(responseBytes)), Do: func() {
			_, err := AppendResponseHead(buf, response)
			must(err)
		}},
		{Name: "response/decode", Max: 6, Bytes: int64(len(responseBytes)), Do: func() {
			_, err := DecodeResponseHead(responseBytes)
			must(err)
		}},
		{Name: "http_request/encode", Max: 29, Bytes: int64(len(requestText)), Do: func() { encoded(httpRequest) }},
		{Name: "http_request/decode", Max: 135, Bytes: int64(len(requestText)), Do: decode(requestText)},
		{Name: "http_response/encode", Max: 17, Bytes: int64(len(responseText)), Do: func() { encoded(httpResponse) }},
		{Name: "http_response/decode", Max: 86, Bytes: int64(len(responseText)), Do: decode(responseText)},
	}
}
