package target

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, origin, host, address string
		loopback                  bool
	}{
		{"3000", "http://localhost:3000", "localhost:3000", "localhost:3000", true},
		{" 3000\n", "http://localhost:3000", "localhost:3000", "localhost:3000", true},
		{"1", "http://localhost:1", "localhost:1", "localhost:1", true},
		{"65535", "http://localhost:65535", "localhost:65535", "localhost:65535", true},
		{"80", "http://localhost", "localhost", "localhost:80", true},
		{":3000", "http://localhost:3000", "localhost:3000", "localhost:3000", true},
		{"localhost:3000", "http://localhost:3000", "localhost:3000", "localhost:3000", true},
		{"LocalHost:3000", "http://localhost:3000", "localhost:3000", "localhost:3000", true},
		{"shop.localhost:3000", "http://shop.localhost:3000", "shop.localhost:3000", "shop.localhost:3000", true},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.9.9.9:8080", "http://127.9.9.9:8080", "127.9.9.9:8080", "127.9.9.9:8080", true},
		{"0.0.0.0:8080", "http://localhost:8080", "localhost:8080", "localhost:8080", true},
		{"[::]:8080", "http://localhost:8080", "localhost:8080", "localhost:8080", true},
		{"[::1]:8080", "http://[::1]:8080", "[::1]:8080", "[::1]:8080", true},
		{"[0:0::1]:8080", "http://[::1]:8080", "[::1]:8080", "[::1]:8080", true},
		{"[fe80::1%eth0]:80", "http://[fe80::1%eth0]", "[fe80::1]", "[fe80::1%eth0]:80", false},
		{"http://[fe80::1%25eth0]:81", "http://[fe80::1%eth0]:81", "[fe80::1]:81", "[fe80::1%eth0]:81", false},
		{"192.168.1.7:3000", "http://192.168.1.7:3000", "192.168.1.7:3000", "192.168.1.7:3000", false},
		{"db_1.internal:3000", "http://db_1.internal:3000", "db_1.internal:3000", "db_1.internal:3000", false},
		{"notlocalhost:3000", "http://notlocalhost:3000", "notlocalhost:3000", "notlocalhost:3000", false},
		{"http://localhost", "http://localhost", "localhost", "localhost:80", true},
		{"HTTP://LOCALHOST:3000/", "http://localhost:3000", "localhost:3000", "localhost:3000", true},
		{"https://localhost", "https://localhost", "localhost", "localhost:443", true},
		{"https://localhost:443", "https://localhost", "localhost", "localhost:443", true},
		{"https://localhost:80", "https://localhost:80", "localhost:80", "localhost:80", true},
		{"https://api.example.test:8443", "https://api.example.test:8443", "api.example.test:8443", "api.example.test:8443", false},
		{"https://[::1]", "https://[::1]", "[::1]", "[::1]:443", true},
		{"http://example.test.", "http://example.test.", "example.test.", "example.test.:80", false},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if got.String() != tt.origin || got.HostHeader() != tt.host || got.Address() != tt.address || got.IsLoopback() != tt.loopback {
			t.Errorf("Parse(%q) = %s, Host %s, address %s, loopback %v; want %s, %s, %s, %v", tt.in,
				got, got.HostHeader(), got.Address(), got.IsLoopback(), tt.origin, tt.host, tt.address, tt.loopback)
		}
	}
}

// TestParseRefuses wants every error to name the mend.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, says string }{
		{"", "the target is empty: write a port such as 3000"},
		{"0", "1 to 65535"},
		{"65536", "1 to 65535"},
		{"70000", "1 to 65535"},
		{"99999999999999999999999", "1 to 65535"},
		{"localhost:0", "1 to 65535"},
		{"localhost:-1", "1 to 65535"},
		{"localhost:+1", "1 to 65535"},
		{"localhost:", "no port after the colon"},
		{"localhost:http", `"http" is no port`},
		{"localhost", "write localhost:3000"},
		{"three thousand", "character ' '"},
		{"::1", "write [::1]:3000"},
		{"::1:3000", "lacks brackets"},
		{"a:b:c", "no host and port"},
		{"[::1]", "no port"},
		{"[::1", "closing ]"},
		{"[::1]x:3000", "may follow the ]"},
		{"[127.0.0.1]:3000", "no IPv6 address"},
		{"[]:3000", "no IPv6 address"},
		{"localhost:3000/app", "write http://localhost:3000, and add /app"},
		{"localhost:3000?x", "a query"},
		{"localhost:70000/app", "is no port"},
		{"-1", `"-1" is no port`},
		{"+3000", `"+3000" is no port`},
		{"localhost/app", "write http://"},
		{"256.1.1.1:80", "no IPv4 address"},
		{"1.2.3:80", "no IPv4 address"},
		{"a..b:80", "no host name"},
		{".:80", "no host name"},
		{strings.Repeat("a", 64) + ":80", "no host name"},
		{strings.Repeat("a.", 150) + ":80", "longer than 253"},
		{strings.Repeat("a", 600), "longer than 512"},
		{"bücher.example:80", "xn--"},
		{"ftp://localhost:21", "only http and https"},
		{"ws://localhost:3000", "write http://"},
		{"wss://localhost:3000", "write https://"},
		{"://x", "only http and https"},
		{"http://", "has no host"},
		{"http://:3000", "has no host"},
		{"http://localhost:3000/app", "write http://localhost:3000, and add /app to the public URL"},
		{"http://localhost:3000/?", "a query"},
		{"http://localhost:3000?x=1", "a query"},
		{"http://localhost:3000#top", "a fragment"},
		{"http://me:secret@localhost:3000", "leave out what is before the @"},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if err == nil {
			t.Errorf("Parse(%q) = %s, want an error", tt.in, got)
			continue
		}
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Parse(%q): %q does not say %q", tt.in, err, tt.says)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("Parse(%q): the error repeats a password: %v", tt.in, err)
		}
	}
}

func TestZeroTarget(t *testing.T) {
	t.Parallel()
	if s := (Target{}).String(); s != "" {
		t.Errorf("the zero target is %q, want nothing", s)
	}
}

// FuzzParse wants what Parse accepts to survive being written and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", ".", "~", "./x", "3000", "a:1", "[::1%25x]:3", "https://b_c.d:443/", "http://1.2.3.4", ":9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s)
		if err != nil {
			return
		}
		var again Target
		text, _ := got.MarshalText()
		if err := again.UnmarshalText(text); err != nil || again != got {
			t.Fatalf("%q reads as %#v, its text %q as %#v, %v", s, got, text, again, err)
		}
		if !got.IsFolder() && (got.Port < 1 || got.Port > 65535) || got.URL().String() == "" {
			t.Fatalf("%q reads as %#v", s, got)
		}
	})
}
