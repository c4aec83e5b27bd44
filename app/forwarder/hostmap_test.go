package forwarder

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

func TestHostHeader(t *testing.T) {
	t.Parallel()
	pathHead := wire.RequestHead{Host: "t.example.com", Prefix: "/shop", Header: http.Header{
		"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"t.example.com"}}}
	hostHead := wire.RequestHead{Host: "Shop.t.example.com:8443", Header: http.Header{"X-Forwarded-Proto": {"https, http"}}}
	bareHead := wire.RequestHead{Host: "t.example.com", Prefix: "/shop"}
	type fields struct{ Host, Origin, Referer string }
	tests := []struct {
		name     string
		mode     HostHeader
		head     wire.RequestHead
		in, want fields
	}{
		{"own page, path form", "local", pathHead, fields{"", "https://t.example.com", "https://t.example.com/shop/cart?x=/shop/"},
			fields{"localhost:3000", "http://localhost:3000", "http://localhost:3000/cart?x=/shop/"}},
		{"default is local", "", pathHead, fields{"", "https://t.example.com", "https://t.example.com/shop"},
			fields{"localhost:3000", "http://localhost:3000", "http://localhost:3000/"}},
		{"another tunnel's page", "local", pathHead, fields{"", "https://t.example.com", "https://t.example.com/shopping/x"},
			fields{"localhost:3000", "https://t.example.com", "https://t.example.com/shopping/x"}},
		{"own page that names its origin only", "local", pathHead, fields{"", "https://t.example.com", "https://t.example.com/"},
			fields{"localhost:3000", "http://localhost:3000", "https://t.example.com/"}},
		{"own page that hides", "local", pathHead, fields{"", "https://t.example.com", ""},
			fields{"localhost:3000", "http://localhost:3000", ""}},
		{"own page with a query", "local", pathHead, fields{"", "https://t.example.com", "https://t.example.com/shop?x"},
			fields{"localhost:3000", "http://localhost:3000", "http://localhost:3000/?x"}},
		{"the origin as Referer", "local", pathHead, fields{"", "", "https://t.example.com/"},
			fields{"localhost:3000", "", "https://t.example.com/"}},
		{"own page, host form", "local", hostHead, fields{"", "https://shop.t.example.com:8443", "https://SHOP.t.example.com:8443/cart"},
			fields{"localhost:3000", "http://localhost:3000", "http://localhost:3000/cart"}},
		{"host form, no path", "local", hostHead, fields{"", "", "https://shop.t.example.com:8443"},
			fields{"localhost:3000", "", "http://localhost:3000/"}},
		{"scheme's own port", "local", pathHead, fields{"", "https://t.example.com:443", ""},
			fields{"localhost:3000", "http://localhost:3000", ""}},
		{"another scheme", "local", pathHead, fields{"", "http://t.example.com", "http://t.example.com/shop/"},
			fields{"localhost:3000", "http://t.example.com", "http://t.example.com/shop/"}},
		{"scheme not known", "local", bareHead, fields{"", "http://t.example.com", "https://t.example.com/shop/x"},
			fields{"localhost:3000", "http://localhost:3000", "http://localhost:3000/x"}},
		{"others", "local", pathHead, fields{"", "https://evil.example", "https://evil.example/shop/"},
			fields{"localhost:3000", "https://evil.example", "https://evil.example/shop/"}},
		{"lookalike", "local", pathHead, fields{"", "https://t.example.com.evil.example", "https://t.example.com@evil.example/shop/"},
			fields{"localhost:3000", "https://t.example.com.evil.example", "https://t.example.com@evil.example/shop/"}},
		{"null", "local", pathHead, fields{"", "null", ""}, fields{"localhost:3000", "null", ""}},
		{"public", "public", pathHead, fields{"", "https://t.example.com", "https://t.example.com/shop/cart"},
			fields{"t.example.com", "https://t.example.com", "https://t.example.com/shop/cart"}},
		{"public without any", "public", wire.RequestHead{}, fields{"", "", ""}, fields{"localhost:3000", "", ""}},
		{"public with a bad one", "public", wire.RequestHead{Host: "a b"}, fields{"", "", ""}, fields{"localhost:3000", "", ""}},
		{"a name", "app.example.test", pathHead, fields{"", "https://t.example.com", "https://t.example.com/shop/cart"},
			fields{"app.example.test", "http://app.example.test", "http://app.example.test/cart"}},
		{"a name with a port", "App.example.test:81", pathHead, fields{"", "https://t.example.com", ""},
			fields{"app.example.test:81", "http://app.example.test:81", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.mode != "" {
				var err error
				if tt.mode, err = ParseHostHeader(string(tt.mode)); err != nil {
					t.Fatal(err)
				}
			}
			f := forwarderTo(t, "3000", func(c *Config) { c.HostHeader = tt.mode })
			head := tt.head
			head.Method, head.Target = "GET", "/"
			head.Header = head.Header.Clone()
			if head.Header == nil {
				head.Header = http.Header{}
			}
			for name, value := range map[string]string{"Origin": tt.in.Origin, "Referer": tt.in.Referer} {
				if value != "" {
					head.Header.Set(name, value)
				}
			}
			before := head.Header.Clone()
			text, err := f.appendRequest(nil, &head)
			if err != nil {
				t.Fatal(err)
			}
			h := fieldsOf(t, string(text))
			got := fields{h.Get("Host"), h.Get("Origin"), h.Get("Referer")}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, head.Header); diff != "" {
				t.Errorf("the request itself has changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestParseHostHeader(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"local", "public", "LOCAL", "app", "app.example.test", "app_1:80", "[::1]", "[::1]:8080", "127.0.0.1:1"} {
		if got, err := ParseHostHeader(s); err != nil || string(got) != strings.ToLower(s) {
			t.Errorf("ParseHostHeader(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "a b", "a/b", "http://a", "a:0", "a:", "a:x", "a:70000", "::1", ":80", "a\r\nb", "café", "a@b", "[]", "[::1"} {
		if got, err := ParseHostHeader(s); err == nil {
			t.Errorf("ParseHostHeader(%q) = %q, want an error", s, got)
		}
	}
}

// TestAnswerMapped wants answers to lead visitors to where they see the service.
func TestAnswerMapped(t *testing.T) {
	t.Parallel()
	s := rawService(t, func(c *serviceConn) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			host := fieldsOf(t, head).Get("Host")
			c.say("HTTP/1.1 302 Found\r\nLocation: http://" + host + "/login\r\nContent-Location: /x\r\nRefresh: 5; url=/y\r\n" +
				"Set-Cookie: a=b; Path=/; Domain=127.0.0.1\r\nSet-Cookie: c=d\r\nX-Location: /z\r\nContent-Length: 0\r\n\r\n")
		}
	})
	tests := []struct {
		name, prefix string
		mode         HostHeader
		want         http.Header
	}{
		{"path form", "/shop", HostLocal, http.Header{"Location": {"https://shop.example.com/shop/login"}, "Content-Location": {"/shop/x"},
			"Refresh": {"5; url=/shop/y"}, "Set-Cookie": {"a=b; Path=/shop/", "c=d"}, "X-Location": {"/z"}}},
		{"host form", "", HostLocal, http.Header{"Location": {"https://shop.example.com/login"}, "Content-Location": {"/x"},
			"Refresh": {"5; url=/y"}, "Set-Cookie": {"a=b; Path=/", "c=d"}, "X-Location": {"/z"}}},
		{"a name", "/shop", "app.example.test", http.Header{"Location": {"https://shop.example.com/shop/login"}, "Content-Location": {"/shop/x"},
			"Refresh": {"5; url=/shop/y"}, "Set-Cookie": {"a=b; Path=/shop/", "c=d"}, "X-Location": {"/z"}}},
		{"public", "/shop", HostPublic, http.Header{"Location": {"http://shop.example.com/shop/login"}, "Content-Location": {"/shop/x"},
			"Refresh": {"5; url=/shop/y"}, "Set-Cookie": {"a=b; Path=/shop/", "c=d"}, "X-Location": {"/z"}}},
	}
	for _, tt := range tests {
		f := forwarderTo(t, s.addr(), func(c *Config) { c.HostHeader = tt.mode })
		v := newVisit(t, "GET", "/")
		v.head.Prefix = tt.prefix
		answered(t, f, v, 302)
		if diff := cmp.Diff(tt.want, v.answer.Header); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
