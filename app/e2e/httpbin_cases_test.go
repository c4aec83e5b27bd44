package e2e

import (
	"slices"
	"strings"
)

// What may differ between an answer from the local service itself and the same
// answer through a tunnel. Everything else is compared byte for byte: status,
// informational answers, every field, framing, trailers and body.
//
//   - The request: the backend says where it came from. So that the bodies that
//     echo a request stay comparable, the direct request says the same itself
//     (see forwarded). Host is the local service's own either way.
//   - Path form: Location, Content-Location, Refresh and the Path of Set-Cookie
//     carry the tunnel's prefix, or a browser would leave the tunnel (see mapped).
//   - Subdomain form: an absolute Location of the local service names the public
//     host, or a browser would leave the tunnel.
//   - Fields between neighbours (RFC 9110, sections 7.6.1 and 11.7.1) end there:
//     TE, Proxy-Authenticate. The trailers that TE asks for come all the same.
//   - 100 Continue: it is between neighbours, so a service's own does not travel
//     (what the visitor gets instead is TestExpectContinue's).
//   - Date: the second may have passed (its presence is compared).
//   - What the service draws afresh for each request: clocks and random values.
//     Each case below lists the ones of its endpoint in vary.
//   - A visitor who closes his own direction after the request, and still reads, is
//     taken to have left: he gets no answer. The relay's server reads on while it
//     waits, and cannot tell one from the other. (No case here does that.)
//   - Left out: /status/101, a protocol switch that nobody asked for (see
//     TestNoAnswer).
type httpbinCase struct {
	method string // "" for GET
	target string
	header string   // "Name: value" lines
	body   string   // sent with its length,
	chunks []string // or in chunks of unknown length
	vary   []string // regular expressions of what the service draws afresh
}

// Values that go-httpbin draws afresh.
var (
	clockSeconds = []string{`Last-Modified: [^\n]+`, `Etag: [0-9a-f]+`, `Expires=[^;\n]+`}
	digestNonce  = []string{`nonce="?[0-9a-f]+"?`, `opaque="?[0-9a-f]+"?`}
	eventClock   = []string{`"timestamp":\d+`, `total_duration;dur=[0-9.]+`}
	boundary     = []string{`[0-9a-f]{60}`}
)

const (
	form      = "a=1&a=2&b=%20x&c="
	multipart = "--frontier\r\nContent-Disposition: form-data; name=\"field\"\r\n\r\nvalue\r\n" +
		"--frontier\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n" +
		"Content-Type: text/plain\r\n\r\ncontent\nof a file\r\n--frontier--\r\n"
)

var httpbinCases = []httpbinCase{
	// Pages and documents.
	{target: "/"},
	{target: "/encoding/utf8"},
	{target: "/forms/post"},
	{target: "/html"},
	{target: "/json"},
	{target: "/xml"},
	{target: "/robots.txt"},
	{target: "/deny"},
	{target: "/env"},
	{target: "/hostname"},
	{target: "/version"},
	{target: "/brotli"},
	{target: "/no/such/page"},
	{target: "/image"},
	{target: "/image", header: "Accept: image/webp"},
	{target: "/image", header: "Accept: text/plain"},
	{target: "/image/png"}, {target: "/image/jpeg"}, {target: "/image/webp"},
	{target: "/image/svg"}, {target: "/image/avif"}, {target: "/image/bmp"},
	{target: "/links/10"},
	{target: "/links/10/3"},

	// Echoes of the request.
	{target: "/get"},
	{target: "/get?a=1&a=2&b=%2F%20+%C3%A9&empty=&flag"},
	{target: "/get?"},
	{target: "/get?a;b=1&c=%zz"},
	{target: "/get", header: "X-Multi: one\nX-Multi: two\nx-lower: 1\nX_Under: 2\nX-Empty:\nX-Utf8: gr\u00fc\u00df"},
	{target: "/get", header: "Cookie: a=1; b=2\nReferer: http://example.com/x?y\nAuthorization: Bearer secret"},
	{target: "/get", header: "Accept-Encoding: gzip, br\nTe: trailers"},
	{target: "/headers", header: "Range: bytes=0-1\nIf-None-Match: \"x\"\nPragma: no-cache\nVia: 1.1 example\nMax-Forwards: 3"},
	{target: "/ip"},
	{target: "/ip?format=text"},
	{target: "/user-agent"},
	{target: "/user-agent", header: "User-Agent: Mozilla/5.0 (X11; Linux)"},
	{target: "/anything"},
	{target: "/anything/a%2Fb/c%20d;p=1?q=%2F"},
	{target: "/anything//double///slashes"},
	{target: "/anything/./dots/../up"},
	{target: "/anything/~!$&'()*+,;=:@-._"},
	{target: "/dump/request?x=y", header: "X-One: 1\nX-Two: 2"},
	{method: "POST", target: "/dump/request", body: "the body\x00\xff\n"},
	{method: "POST", target: "/dump/request", chunks: []string{"the ", "body"}},

	// Methods.
	{method: "HEAD", target: "/head"},
	{method: "HEAD", target: "/get"},
	{method: "HEAD", target: "/image/png"},
	{method: "HEAD", target: "/bytes/1000?seed=1"},
	{method: "HEAD", target: "/stream/3"},
	{method: "HEAD", target: "/anything"},
	{method: "POST", target: "/post"},
	{method: "PUT", target: "/put", body: "x"},
	{method: "PATCH", target: "/patch", body: "{\"a\": [1, 2.50]}", header: "Content-Type: application/json"},
	{method: "DELETE", target: "/delete"},
	{method: "DELETE", target: "/delete", body: "with a body"},
	{method: "OPTIONS", target: "/anything"},
	{method: "OPTIONS", target: "/get", header: "Origin: http://example.com\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: X-A, X-B"},
	{method: "TRACE", target: "/anything", header: "X-Traced: yes"},
	{method: "PROPFIND", target: "/anything", body: "<propfind/>", header: "Depth: 1\nContent-Type: text/xml"},
	{method: "QUERY", target: "/anything", body: "q", header: "Content-Type: text/plain"},
	{method: "BREW", target: "/status/418"},
	{method: "m-search", target: "/anything"},
	{method: "POST", target: "/get"},
	{method: "GET", target: "/post"},
	{method: "GET", target: "/anything", body: "a GET with a body", header: "Content-Type: text/plain"},

	// Bodies.
	{method: "POST", target: "/post", body: form, header: "Content-Type: application/x-www-form-urlencoded"},
	{method: "POST", target: "/post", body: multipart, header: "Content-Type: multipart/form-data; boundary=frontier"},
	{method: "POST", target: "/post", body: "\x00\x01\xfe\xff", header: "Content-Type: application/octet-stream"},
	{method: "POST", target: "/post", body: "broken{", header: "Content-Type: application/json"},
	{method: "POST", target: "/post", chunks: []string{"one", strings.Repeat("two", 100_000), "three"}, header: "Content-Type: text/plain"},
	{method: "PUT", target: "/put", chunks: []string{}, header: "Content-Type: text/plain"},
	{method: "POST", target: "/post", body: strings.Repeat("0123456789", 90_000), header: "Content-Type: text/plain"},
	{method: "POST", target: "/upload", body: strings.Repeat("u", 1_000_000)},
	{method: "PUT", target: "/upload", chunks: slices.Repeat([]string{strings.Repeat("u", 40_000)}, 20)},
	{method: "PATCH", target: "/upload", body: "p"},
	{method: "POST", target: "/upload", body: strings.Repeat("over the service's limit", 100_000)},

	// Packed bodies stay packed.
	{target: "/gzip"},
	{target: "/gzip", header: "Accept-Encoding: gzip"},
	{target: "/deflate"},
	{method: "HEAD", target: "/gzip"},

	// Streams.
	{target: "/stream/1"},
	{target: "/stream/25"},
	{target: "/stream-bytes/100000?seed=7&chunk_size=777"},
	{target: "/stream-bytes/0?seed=7"},
	{target: "/bytes/0?seed=1"},
	{target: "/bytes/1?seed=1"},
	{target: "/bytes/1000000?seed=3"},
	{target: "/drip?numbytes=10&duration=100ms&delay=10ms"},
	{target: "/drip?numbytes=5&duration=0&code=404"},
	{target: "/jsonl?count=5&duration=50ms"},
	{target: "/sse?count=3&duration=60ms", vary: eventClock},
	{target: "/trailers"},
	{target: "/trailers?X-One=1&X-Two=a%20b"},
	{target: "/trailers?Content-Length=1"},
	{target: "/delay/0.1"},
	{target: "/delay/100ms"},

	// Ranges and caches.
	{target: "/range/1000"},
	{target: "/range/1000", header: "Range: bytes=10-19"},
	{target: "/range/1000", header: "Range: bytes=-5"},
	{target: "/range/1000", header: "Range: bytes=2000-"},
	{target: "/range/1000", header: "Range: bytes=0-1,5-6", vary: boundary},
	{method: "HEAD", target: "/range/1000"},
	{target: "/cache", vary: clockSeconds},
	{target: "/cache", header: "If-None-Match: anything"},
	{target: "/cache/60"},
	{target: "/etag/tag", vary: clockSeconds},
	{target: "/etag/tag", header: "If-None-Match: \"tag\"", vary: clockSeconds},
	{target: "/etag/tag", header: "If-Match: \"other\"", vary: clockSeconds},

	// Redirects.
	{target: "/redirect/3"},
	{target: "/redirect/1?absolute=true"},
	{target: "/redirect/0"},
	{target: "/relative-redirect/2"},
	{target: "/absolute-redirect/2"},
	{target: "/redirect-to?url=http://example.com/elsewhere?q=1%23f"},
	{target: "/redirect-to?url=/get&status_code=307"},
	{target: "/redirect-to?url=//example.com/x"},
	{method: "POST", target: "/redirect-to?url=https%3A%2F%2Fexample.com%2F", body: "x"},
	{target: "//get"},
	{target: "/get/../ip"},
	{target: "/response-headers?Content-Location=/here&Refresh=5;%20url%3D/get"},
	{target: "/response-headers?Location=/get%3Fa"},

	// Cookies.
	{target: "/cookies", header: "Cookie: a=1; b=\"two\""},
	{target: "/cookies/set?a=1"},
	{target: "/cookies/set?a=1&attr[Path]=/get&attr[SameSite]=lax"},
	{target: "/cookies/set?a=1&attr[Path]=/&attr[HttpOnly]=0&attr[Secure]=1"},
	{target: "/cookies/delete?a=", vary: clockSeconds},

	// Who asks.
	{target: "/basic-auth/user/pass"},
	{target: "/basic-auth/user/pass", header: "Authorization: Basic dXNlcjpwYXNz"},
	{target: "/hidden-basic-auth/user/pass"},
	{target: "/hidden-basic-auth/user/pass", header: "Authorization: Basic dXNlcjpwYXNz"},
	{target: "/bearer"},
	{target: "/bearer", header: "Authorization: Bearer abc.def"},
	{target: "/digest-auth/auth/user/pass", vary: digestNonce},
	{target: "/digest-auth/auth/user/pass/SHA-256", vary: digestNonce},

	// Odds and ends.
	{target: "/base64/aGVsbG8gd29ybGQK"},
	{target: "/base64/encode/hello%20world"},
	{target: "/base64/%21"},
	{target: "/uuid", vary: []string{`[0-9a-f]{8}-[0-9a-f-]{27}`}},
	{target: "/unstable?seed=1"},
	{target: "/unstable?seed=4&failure_rate=1"},
	{target: "/unstable?failure_rate=0"},
	{target: "/response-headers?X-A=1&X-A=2&Server=mine&Content-Type=text/plain&X-Powered-By=x"},
	{target: "/response-headers?Via=1.1%20x&Age=7&Vary=Accept&Alt-Svc=clear&Link=%3C/x%3E;rel%3Dnext"},
	{target: "/status/100"}, {target: "/status/102"}, {target: "/status/103"},
	{target: "/status/200,201", vary: []string{`status 20[01] (OK|Created)`}},
	{target: "/websocket/echo"},
}
