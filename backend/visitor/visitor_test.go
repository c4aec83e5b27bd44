package visitor

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, target string
		ok             bool
	}{
		{"GET", "/", true},
		{"GET", "/shop//a/../b%2F%00?x=%20&y=[]|^", true},
		{"GET", "/caf\xc3\xa9", true},
		{"OPTIONS", "*", true},
		{"GET", "*", false},
		{"GET", "", false},
		{"GET", "shop/", false},
		{"GET", "http://127.0.0.1/shop/", false},
		{"GET", "//evil.test/", true}, // a path that begins with two slashes
		{"CONNECT", "127.0.0.1:22", false},
		{"CONNECT", "/shop/", false},
		{"GET", "/a b", false},
		{"GET", "/a\x00", false},
		{"GET", "/a\tb", false},
		{"GET", "/a\x7f", false},
		{"GET", "/a#b", false},
	} {
		err := CheckTarget(c.method, c.target)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("CheckTarget(%s, %q) = %v, want ok: %v", c.method, c.target, err, c.ok)
		}
	}
}

func TestSplitPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]struct {
		id, rest string
		bare     bool
	}{
		"/":                  {"", "/", true},
		"/shop":              {"shop", "/", true},
		"/shop?a=/b":         {"shop", "/?a=/b", true},
		"/shop/":             {"shop", "/", false},
		"/shop/?q":           {"shop", "/?q", false},
		"/shop//a":           {"shop", "//a", false},
		"/shop/%2F/../x?y?z": {"shop", "/%2F/../x?y?z", false},
		"//shop/a":           {"", "/shop/a", false},
		"/%73hop/a":          {"%73hop", "/a", false},
	} {
		id, rest, bare := SplitPath(target)
		if id != want.id || rest != want.rest || bare != want.bare {
			t.Errorf("SplitPath(%q) = %q, %q, %v; want %+v", target, id, rest, bare, want)
		}
	}
}

func FuzzSplitPathLosesNothing(f *testing.F) {
	f.Add("/shop/a?b")
	f.Add("/shop")
	f.Fuzz(func(t *testing.T, target string) {
		if CheckTarget("GET", target) != nil {
			t.Skip()
		}
		id, rest, bare := SplitPath(target)
		if bare {
			rest = strings.TrimPrefix(rest, "/")
		}
		if "/"+id+rest != target {
			t.Errorf("%q became %q and %q", target, id, rest)
		}
		if strings.ContainsAny(id, "/?") {
			t.Errorf("%q gives the ID %q", target, id)
		}
	})
}

func TestHostID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, base, id string
		ok             bool
	}{
		{"shop.tunnel.test", "tunnel.test", "shop", true},
		{"Shop.Tunnel.TEST:8080", "tunnel.test", "shop", true},
		{"shop.tunnel.test.", "tunnel.test", "shop", true},
		{"a.shop.tunnel.test", "tunnel.test", "a.shop", true},
		{"tunnel.test", "tunnel.test", "", false},
		{"eviltunnel.test", "tunnel.test", "", false},
		{"127.0.0.1:80", "tunnel.test", "", false},
		{"[::1]:80", "tunnel.test", "", false},
		{"[::1", "tunnel.test", "", false},
		{"", "tunnel.test", "", false},
		{"shop.localhost:8080", "localhost", "shop", true},
	} {
		id, ok := HostID(c.host, c.base)
		if ok != c.ok || ok && id != c.id {
			t.Errorf("HostID(%q, %q) = %q, %v; want %q, %v", c.host, c.base, id, ok, c.id, c.ok)
		}
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"a.test": "a.test", "a.test:80": "a.test", "[::1]:80": "::1", "[::1]": "::1", "::1": "::1", "": "", ":80": "",
	} {
		if got := HostName(host); got != want {
			t.Errorf("HostName(%q) = %q, want %q", host, got, want)
		}
	}
}
