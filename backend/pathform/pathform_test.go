package pathform

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Views as a relay makes them: below a path, at a host of its own, and without
// knowing how the visitor came.
var (
	local    = []string{"localhost:3000", "127.0.0.1:3000", "[::1]:3000", "app.internal"}
	pathView = View{Prefix: "/shop", Scheme: "https", Host: "t.example.com", Local: local}
	hostView = View{Scheme: "https", Host: "shop.t.example.com:8443", Local: local}
	bareView = View{Prefix: "/shop"}
)

func TestURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		view     *View
		in, want string
	}{
		// Paths from the root.
		{&pathView, "/", "/shop/"},
		{&pathView, "/login", "/shop/login"},
		{&pathView, "/login?next=/a#top", "/shop/login?next=/a#top"},
		{&pathView, "/?x", "/shop/?x"},
		{&pathView, "/a//b%2Fc", "/shop/a//b%2Fc"},
		{&pathView, "/shopping", "/shop/shopping"},
		{&pathView, "/shop", "/shop"},
		{&pathView, "/shop/", "/shop/"},
		{&pathView, "/shop/cart", "/shop/cart"},
		{&pathView, "/shop?x", "/shop?x"},
		{&pathView, `/\evil.example`, `/shop/\evil.example`},
		{&hostView, "/login", "/login"},
		{&bareView, "/login", "/shop/login"},

		// Relative to the page.
		{&pathView, "", ""},
		{&pathView, "login", "login"},
		{&pathView, "../a", "../a"},
		{&pathView, "?page=2", "?page=2"},
		{&pathView, "#top", "#top"},
		{&pathView, "a:b/c", "a:b/c"},
		{&pathView, "./a:b", "./a:b"},

		// The public origin.
		{&pathView, "https://t.example.com/a", "https://t.example.com/shop/a"},
		{&pathView, "https://T.Example.Com:443/a", "https://T.Example.Com:443/shop/a"},
		{&pathView, "https://t.example.com/shop/a", "https://t.example.com/shop/a"},
		{&pathView, "https://t.example.com", "https://t.example.com/shop/"},
		{&pathView, "https://t.example.com?x", "https://t.example.com/shop/?x"},
		{&pathView, "http://t.example.com/a", "http://t.example.com/shop/a"},
		{&pathView, "//t.example.com/a", "//t.example.com/shop/a"},
		{&hostView, "https://shop.t.example.com:8443/a", "https://shop.t.example.com:8443/a"},

		// The local origin, by any of its names.
		{&pathView, "http://localhost:3000/a?b#c", "https://t.example.com/shop/a?b#c"},
		{&pathView, "HTTP://LOCALHOST:3000/a", "https://t.example.com/shop/a"},
		{&pathView, "https://localhost:3000/a", "https://t.example.com/shop/a"},
		{&pathView, "//localhost:3000/a", "https://t.example.com/shop/a"},
		{&pathView, "http://127.0.0.1:3000/a", "https://t.example.com/shop/a"},
		{&pathView, "http://[::1]:3000/a", "https://t.example.com/shop/a"},
		{&pathView, "http://localhost:3000", "https://t.example.com/shop/"},
		{&pathView, "http://localhost:3000#c", "https://t.example.com/shop/#c"},
		{&pathView, "http://app.internal:80/a", "https://t.example.com/shop/a"},
		{&pathView, "https://app.internal:443/a", "https://t.example.com/shop/a"},
		{&hostView, "http://localhost:3000/a", "https://shop.t.example.com:8443/a"},
		{&hostView, "http://localhost:3000", "https://shop.t.example.com:8443"},
		{&View{Host: "x.test", Local: local}, "http://localhost:3000/a", "//x.test/a"},
		{&View{Prefix: "/shop", Local: local}, "http://localhost:3000/a", "/shop/a"},
		{&View{Local: local}, "http://localhost:3000//a", "http://localhost:3000//a"},

		// Others.
		{&pathView, "http://localhost:3001/a", "http://localhost:3001/a"},
		{&pathView, "http://localhost/a", "http://localhost/a"},
		{&pathView, "http://app.internal:8080/a", "http://app.internal:8080/a"},
		{&pathView, "https://elsewhere.example/a", "https://elsewhere.example/a"},
		{&pathView, "//elsewhere.example/a", "//elsewhere.example/a"},
		{&pathView, "https://t.example.com.evil.example/a", "https://t.example.com.evil.example/a"},
		{&pathView, "https://me@t.example.com/a", "https://me@t.example.com/a"},
		{&pathView, "http://t.example.com:443/a", "http://t.example.com:443/a"},
		{&pathView, "///a", "///a"},
		{&pathView, "http:/a", "http:/a"},
		{&pathView, "mailto:me@t.example.com", "mailto:me@t.example.com"},
		{&pathView, "ftp://localhost:3000/a", "ftp://localhost:3000/a"},
		{&bareView, "http://localhost:3000/a", "http://localhost:3000/a"},
	}
	for _, tt := range tests {
		if got := tt.view.URL(tt.in); got != tt.want {
			t.Errorf("%q maps to %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"5", "5"},
		{"", ""},
		{"5;", "5;"},
		{"5;url=/a", "5;url=/shop/a"},
		{"5; url=/a", "5; url=/shop/a"},
		{"0;URL='/a'", "0;URL='/shop/a'"},
		{`0; Url = "/a" ; x`, `0; Url = "/shop/a" ; x`},
		{`0; url="/a`, `0; url="/shop/a`},
		{"1.5, url=/a", "1.5, url=/shop/a"},
		{".5 /a", ".5 /shop/a"},
		{"5;/a", "5;/shop/a"},
		{"5; '/a'", "5; '/shop/a'"},
		{"5 url=http://localhost:3000/a", "5 url=https://t.example.com/shop/a"},
		{"5; url=https://elsewhere.example/", "5; url=https://elsewhere.example/"},
		{"5; url=next", "5; url=next"},
		{"5; url", "5; url"},
		{"5; url=", "5; url="},
		{"5; url=''", "5; url=''"},
		{"/a", "/a"},
		{"5/a", "5/a"},
		{"x; url=/a", "x; url=/a"},
	}
	for _, tt := range tests {
		if got := pathView.Refresh(tt.in); got != tt.want {
			t.Errorf("%q maps to %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	tests := []struct {
		view     *View
		in, want string
	}{
		{&pathView, "a=b", "a=b"},
		{&pathView, "a=b; Path=/", "a=b; Path=/shop/"},
		{&pathView, "a=b; Path=/x", "a=b; Path=/shop/x"},
		{&pathView, "a=b;path=/x", "a=b;path=/shop/x"},
		{&pathView, "a=b; \tPATH =  /x/y \t; Secure", "a=b; \tPATH =  /shop/x/y \t; Secure"},
		{&pathView, "a=b; Path=/shop", "a=b; Path=/shop"},
		{&pathView, "a=b; Path=/shop/x", "a=b; Path=/shop/x"},
		{&pathView, "a=b; Path=/shopping", "a=b; Path=/shop/shopping"},
		{&pathView, "a=b; Path=", "a=b; Path="},
		{&pathView, "a=b; Path", "a=b; Path"},
		{&pathView, "a=b; Path=x", "a=b; Path=x"},
		{&pathView, `a=b; Path="/x"`, `a=b; Path="/x"`},
		{&pathView, "a=b; Path=/x; Path=/y", "a=b; Path=/shop/x; Path=/shop/y"},
		{&pathView, "Path=/x", "Path=/x"},
		{&pathView, "Path=/x; Path=/x", "Path=/x; Path=/shop/x"},
		{&pathView, "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly;;  Path=/;", "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly;;  Path=/shop/;"},
		{&pathView, "__Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure"},
		{&pathView, "__host-a=b; Path=/; Secure", "__host-a=b; Path=/; Secure"},
		{&pathView, "__Secure-a=b; Path=/; Secure", "__Secure-a=b; Path=/shop/; Secure"},
		{&hostView, "a=b; Path=/x", "a=b; Path=/x"},

		{&pathView, "a=b; Domain=localhost; Path=/", "a=b; Path=/shop/"},
		{&pathView, "a=b; domain=.LOCALHOST", "a=b"},
		{&pathView, "a=b; Domain=127.0.0.1; Secure", "a=b; Secure"},
		{&pathView, "a=b; Domain=internal", "a=b"},
		{&hostView, "a=b; Domain=app.internal; Path=/x", "a=b; Path=/x"},
		{&pathView, "a=b; Domain=pp.internal", "a=b; Domain=pp.internal"},
		{&pathView, "a=b; Domain=t.example.com", "a=b; Domain=t.example.com"},
		{&pathView, "a=b; Domain=example.com", "a=b; Domain=example.com"},
		{&pathView, "a=b; Domain=elsewhere.example", "a=b; Domain=elsewhere.example"},
		{&pathView, "a=b; Domain=", "a=b; Domain="},
		{&View{Host: "a.example.com", Local: []string{"b.example.com"}}, "a=b; Domain=example.com", "a=b; Domain=example.com"},
	}
	for _, tt := range tests {
		if got := tt.view.Cookie(tt.in); got != tt.want {
			t.Errorf("%q maps to %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestMapHeader(t *testing.T) {
	t.Parallel()
	cookies := []string{"a=b", "c=d; Path=/", "e=f; Path=/x"}
	h := http.Header{
		"Location":         {"/a"},
		"Content-Location": {"http://localhost:3000/b"},
		"Refresh":          {"5; url=/c"},
		"Set-Cookie":       cookies,
		"Link":             {"</d>; rel=preload"},
		"X-Location":       {"/e"},
	}
	pathView.MapHeader(h)
	want := http.Header{
		"Location":         {"/shop/a"},
		"Content-Location": {"https://t.example.com/shop/b"},
		"Refresh":          {"5; url=/shop/c"},
		"Set-Cookie":       {"a=b", "c=d; Path=/shop/", "e=f; Path=/shop/x"},
		"Link":             {"</d>; rel=preload"},
		"X-Location":       {"/e"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("mapped header (-want +got):\n%s", diff)
	}
	if !slices.Equal(cookies, []string{"a=b", "c=d; Path=/", "e=f; Path=/x"}) {
		t.Errorf("the values that were passed in have changed: %q", cookies)
	}
}

// FuzzView wants mapping to change nothing but what it maps: a second pass finds
// nothing to do, the prefix comes once, and no field grows by more than an origin.
func FuzzView(f *testing.F) {
	for _, s := range []string{"/a", "http://localhost:3000/a", "5; url='/a'", "a=b; Path=/; Domain=localhost", "//t.example.com", "///", "1,url=\"", ";;=;path=/;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, mapped := range map[string]func(string) string{"URL": pathView.URL, "Refresh": pathView.Refresh, "Cookie": pathView.Cookie} {
			once := mapped(s)
			if twice := mapped(once); twice != once {
				t.Errorf("%s: %q maps to %q, and that to %q", name, s, once, twice)
			}
			if name != "Cookie" && len(once) > len(s)+len("https://t.example.com/shop/") {
				t.Errorf("%s: %q grows to %q", name, s, once)
			}
			if before, after := strings.Count(s, ";"), strings.Count(once, ";"); after > before {
				t.Errorf("%s: %q becomes %q", name, s, once)
			}
		}
	})
}
