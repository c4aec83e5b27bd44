package visitor

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRemoveHopByHop(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Connection":       {"close, X-Secret", " x-other ,,"},
		"X-Secret":         {"1"},
		"X-Other":          {"2"},
		"Keep-Alive":       {"timeout=5"},
		"Proxy-Connection": {"keep-alive"}, "Proxy-Authorization": {"Basic eA=="}, "Proxy-Authenticate": {"Basic"},
		"Te": {"trailers"}, "Trailer": {"X-Sum"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"},
		"Cookie": {"a=1", "b=2"}, "Authorization": {"Bearer x"}, "X-Upgrade": {"stays"},
	}
	RemoveHopByHop(h)
	want := http.Header{"Cookie": {"a=1", "b=2"}, "Authorization": {"Bearer x"}, "X-Upgrade": {"stays"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestForwardWithoutHost(t *testing.T) {
	t.Parallel()
	peer := netip.MustParseAddr("192.0.2.1")
	for _, proxies := range []Proxies{nil, {netip.MustParsePrefix("192.0.2.0/24")}} {
		h := http.Header{}
		proxies.Forward(h, Hop{Peer: peer, Proto: "http"})
		if values, ok := h["X-Forwarded-Host"]; ok {
			t.Errorf("X-Forwarded-Host is %q in HTTP/1.0, where none was sent", values)
		}
	}
}

func TestOffersUpgrade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offered, chosen string
		want            bool
	}{
		{"websocket", "websocket", true}, {"websocket", "WebSocket", true}, {"foo, bar/2", "bar/2", true}, {"foo,bar", "foo", true},
		{"TLS/1.0, HTTP/1.1", "TLS/1.0, HTTP/1.1", true},
		{"foo", "bar", false}, {"foo/1", "foo", false}, {"foo", "", false}, {"foo", " ", false}, {"", "foo", false}, {"", "", false},
		{"foo", "foo, bar", false}, {"foo, bar", "foo,, bar", false},
	} {
		if got := OffersUpgrade(c.offered, c.chosen); got != c.want {
			t.Errorf("%q of %q: %v", c.chosen, c.offered, got)
		}
	}
}

func TestUpgradeOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		connection, upgrade []string
		want                string
	}{
		{[]string{"Upgrade"}, []string{"websocket"}, "websocket"},
		{[]string{"keep-alive, upgrade"}, []string{" WebSocket "}, "WebSocket"},
		{[]string{"keep-alive", "Upgrade"}, []string{"foo/2"}, "foo/2"},
		{[]string{"keep-alive"}, []string{"websocket"}, ""},
		{nil, []string{"websocket"}, ""},
		{[]string{"Upgrade"}, nil, ""},
		{[]string{"Upgrade"}, []string{""}, ""},
		{[]string{"Upgrade"}, []string{"foo, bar"}, "foo, bar"},
		{[]string{"Upgrade"}, []string{"foo", "bar"}, "foo, bar"},
		{[]string{"Upgrade"}, []string{"websocket", "h2c"}, ""},
		{[]string{"Upgrade, HTTP2-Settings"}, []string{"h2c"}, ""},
		{[]string{"Upgrade"}, []string{"H2C"}, ""},
		{[]string{"Upgrade"}, []string{"websocket, h2c"}, ""},
	} {
		if got := UpgradeOf(http.Header{"Connection": c.connection, "Upgrade": c.upgrade}); got != c.want {
			t.Errorf("Connection %q, Upgrade %q: %q, want %q", c.connection, c.upgrade, got, c.want)
		}
	}
}

func TestForward(t *testing.T) {
	t.Parallel()
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	forged := http.Header{
		"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Port": {"1"},
		"X_forwarded_for": {"6.6.6.6"}, "x-forwarded-for": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"},
		"X-Real-Time": {"stays"}, "From": {"stays@x.test"},
	}
	for _, c := range []struct {
		name    string
		header  http.Header
		peer    string
		want    http.Header
		visitor string
	}{
		{"nothing said", http.Header{}, "1.2.3.4", http.Header{
			"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.test"},
		}, "1.2.3.4"},
		{"forged", forged.Clone(), "1.2.3.4", http.Header{
			"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.test"},
			"X-Real-Time": {"stays"}, "From": {"stays@x.test"},
		}, "1.2.3.4"},
		{"trusted", http.Header{
			"X-Forwarded-For": {"6.6.6.6, 1.2.3.4", "10.9.9.9"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"public.test"}, "Forwarded": {"for=1.2.3.4"},
		}, "10.0.0.1", http.Header{
			"X-Forwarded-For": {"6.6.6.6, 1.2.3.4, 10.9.9.9, 10.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"public.test"}, "Forwarded": {"for=1.2.3.4"},
		}, "1.2.3.4"},
		{"trusted, says nothing", http.Header{}, "10.0.0.1", http.Header{
			"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.test"},
		}, "10.0.0.1"},
		{"trusted, says nonsense", http.Header{"X-Forwarded-For": {"1.2.3.4, unknown"}}, "fd00::1", http.Header{
			"X-Forwarded-For": {"1.2.3.4, unknown, fd00::1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.test"},
		}, "fd00::1"},
		{"all trusted", http.Header{"X-Forwarded-For": {"10.1.1.1, 10.2.2.2"}}, "10.0.0.1", http.Header{
			"X-Forwarded-For": {"10.1.1.1, 10.2.2.2, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.test"},
		}, "10.1.1.1"},
		{"with ports", http.Header{"X-Forwarded-For": {"[2001:db8::1]:443, 10.2.2.2:80"}}, "10.0.0.1", http.Header{
			"X-Forwarded-For": {"[2001:db8::1]:443, 10.2.2.2:80, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.test"},
		}, "2001:db8::1"},
	} {
		peer := netip.MustParseAddr(c.peer)
		if got := proxies.VisitorOf(c.header, peer).String(); got != c.visitor {
			t.Errorf("%s: VisitorOf = %s, want %s", c.name, got, c.visitor)
		}
		visitor := proxies.Forward(c.header, Hop{Peer: peer, Proto: "http", Host: "shop.test"})
		if visitor.String() != c.visitor {
			t.Errorf("%s: visitor %s, want %s", c.name, visitor, c.visitor)
		}
		if diff := cmp.Diff(c.want, c.header); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestParseIP(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "1.2.3.4:80": "1.2.3.4", "[::1]:80": "::1", "[::1]": "::1", "::ffff:1.2.3.4": "1.2.3.4",
		"[fe80::1%eth0]:80": "fe80::1", "": "", "unknown": "", "1.2.3": "", "_hidden": "",
	} {
		addr, ok := ParseIP(text)
		if ok != (want != "") || ok && addr.String() != want {
			t.Errorf("ParseIP(%q) = %v, %v; want %q", text, addr, ok, want)
		}
	}
}

func TestCopyAnswer(t *testing.T) {
	t.Parallel()
	dst := http.Header{"X-Before": {"stays"}}
	CopyAnswer(dst, http.Header{
		"Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}, "X-Secret": {"1"}, "Server": {"x"},
		"Connection": {"x-secret, close"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"7"}, "Trailer": {"X-Sum"}, "Upgrade": {"x"},
	})
	want := http.Header{"X-Before": {"stays"}, "Set-Cookie": {"a=1", "b=2"}, "X-Empty": {""}, "Server": {"x"}}
	if diff := cmp.Diff(want, dst); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCopyTrailer(t *testing.T) {
	t.Parallel()
	dst := http.Header{}
	CopyTrailer(dst, http.Header{
		"X-Sum": {"1", "2"}, "Grpc-Status": {"0"}, "Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}, "Host": {"evil"}, "Connection": {"close"},
	})
	want := http.Header{http.TrailerPrefix + "X-Sum": {"1", "2"}, http.TrailerPrefix + "Grpc-Status": {"0"}}
	if diff := cmp.Diff(want, dst); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
