package engine

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// TestVisitsStayOutside of the network that this computer is in, wherever a backend
// claims that visitors would come in.
func TestVisitsStayOutside(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		backend string // "" is the built-in relay
		url     string
		refused bool
	}{
		{"wss://203.0.113.5", "http://203.0.114.1:8080", false},
		{"wss://203.0.113.5", "http://192.168.1.1", true},
		{"wss://203.0.113.5", "http://169.254.169.254", true},
		{"wss://203.0.113.5", "http://[fe80::1]", true},
		{"wss://203.0.113.5", "http://[fd00:ec2::254]", true},
		{"wss://203.0.113.5", "http://[::ffff:10.0.0.1]", true},
		{"wss://203.0.113.5", "http://[64:ff9b::10.0.0.1]", true},
		{"wss://203.0.113.5", "http://100.64.0.1", true},
		{"wss://203.0.113.5", "http://127.0.0.1:631", true},
		{"wss://203.0.113.5", "http://0.0.0.0:631", true},
		{"wss://203.0.113.5", "http://a.localhost.:631", true},
		{"wss://192.168.1.5", "http://192.168.1.6", false},
		{"wss://192.168.1.5", "http://169.254.169.254", true},
		{"wss://192.168.1.5", "http://localhost", true},
		{"ws://127.0.0.1:8080", "http://x.localhost:8080", false},
		{"ws://relay.localhost:8080", "http://192.168.1.5:8080", false},
		{"", "http://127.0.0.1:8080", false},
	} {
		var spec Spec
		u := parsed(t, tt.url)
		if tt.backend != "" {
			spec.Backend = parsed(t, tt.backend)
		}
		most := visitReach(t.Context(), &spec)
		err := checkReach(u, most)
		if (err != nil) != tt.refused {
			t.Errorf("%s of %q: %v", tt.url, tt.backend, err)
		}
		addr, parseErr := netip.ParseAddr(u.Hostname())
		if parseErr != nil {
			continue
		}
		// A name may turn out to have that address.
		err = reachControl(most)("tcp", netip.AddrPortFrom(addr, 80).String(), nil)
		if (err != nil) != tt.refused {
			t.Errorf("a name with the address of %s, of %q: %v", tt.url, tt.backend, err)
		}
	}
}

func parsed(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestNothingIsSentInside: a service in there sees nothing of a visit.
func TestNothingIsSentInside(t *testing.T) {
	t.Parallel()
	inner := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("it was asked for %s", r.URL)
	}))
	defer inner.Close()
	e, _ := start(t, Config{Dir: folder(t)})
	tun, err := e.OpenStopped(Spec{Target: service(t), Backend: parsed(t, "wss://203.0.113.5")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tun.visitURL(t.Context(), parsed(t, inner.URL+"/"))
	if inside := (*insideError)(nil); !errors.As(err, &inside) || isSilent(err) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("an address: %v", err)
	}
	// As if a name had that address, which is known only when it is dialled.
	u := parsed(t, inner.URL)
	transport := visitTransport(u, anywhere, nil)
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(&http.Request{Method: "GET", URL: u, Header: http.Header{}})
	if inside := (*insideError)(nil); !errors.As(err, &inside) {
		if err == nil {
			answer.Body.Close()
		}
		t.Errorf("a name: %v", err)
	}
}
