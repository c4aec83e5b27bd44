package link

import (
	"net/http"
	"testing"

	"culvert/backend/wire"
)

// A request shows by its host alone which of the tunnel's URLs it came to, and so
// what was in front of its path.
func TestPrefixOf(t *testing.T) {
	t.Parallel()
	all := parseURLs(&wire.Established{
		PublicURL: "https://shop.tunnel.example.com", SubdomainURL: "https://shop.tunnel.example.com",
		PathBasedURL: "https://api.example.com/live/shop", StreamURL: "https://abc.lambda-url.us-east-1.on.aws/shop",
	})
	paths := parseURLs(&wire.Established{PublicURL: "https://api.example.com/shop"})
	for _, tt := range []struct {
		name            string
		urls            urls
		forwarded, host string
		want            string
	}{
		{"host form", all, "", "shop.tunnel.example.com", ""},
		{"path form", all, "", "API.example.com:443", "/live/shop"},
		{"streams", all, "", "abc.lambda-url.us-east-1.on.aws", "/shop"},
		{"streams, behind a proxy", all, "abc.lambda-url.us-east-1.on.aws", "inside", "/shop"},
		{"path form, behind a proxy", all, "api.example.com, other", "shop.tunnel.example.com", "/live/shop"},
		{"unknown host", all, "", "other.example.com", ""},
		{"unknown host, one form", paths, "", "other.example.com", "/shop"},
		{"no host", all, "", "", ""},
	} {
		h := http.Header{}
		if tt.forwarded != "" {
			h.Set("X-Forwarded-Host", tt.forwarded)
		}
		if got := tt.urls.prefixOf(h, tt.host); got != tt.want {
			t.Errorf("%s: prefix %q, want %q", tt.name, got, tt.want)
		}
	}
}
