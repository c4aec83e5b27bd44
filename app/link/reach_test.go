package link

import (
	"errors"
	"net/netip"
	"testing"
)

// A backend must not reach into the agent's machine, or its networks, by naming them as
// its object store.
func TestMayReach(t *testing.T) {
	t.Parallel()
	own := []netip.Addr{netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("203.0.114.9")}
	for _, c := range []struct {
		backend string // "" if unknown
		at      string
		want    error
	}{
		{"52.94.133.131", "52.216.0.1", nil},
		{"", "52.216.0.1", nil},
		{"", "2600:1fa0:80b0::1", nil},
		{"", "64:ff9b::34d8:1", nil}, // 52.216.0.1, translated
		{"10.1.2.3", "10.9.9.9", nil},
		{"10.1.2.3", "172.16.0.9", nil},
		{"fd12::1", "fd12::2", nil},
		{"192.168.1.7", "192.168.1.7", nil}, // both are here
		{"192.168.1.7", "203.0.114.9", nil},
		{"10.1.2.3", "192.168.1.7", errThisMachine},
		{"", "203.0.114.9", errThisMachine},
		{"", "127.0.0.1", errThisMachine},
		{"", "::ffff:127.0.0.1", errThisMachine},
		{"", "64:ff9b::7f00:1", errThisMachine},
		{"10.1.2.3", "127.9.9.9", errThisMachine},
		{"10.1.2.3", "169.254.169.254", errThisMachine},
		{"", "64:ff9b::a9fe:a9fe", errThisMachine},
		{"", "fe80::1%eth0", errThisMachine},
		{"", "::", errThisMachine},
		{"", "0.0.0.0", errThisMachine},
		{"", "224.0.0.1", errThisMachine},
		{"", "10.9.9.9", errPrivate},
		{"52.94.133.131", "10.9.9.9", errPrivate},
		{"52.94.133.131", "192.168.1.1", errPrivate},
		{"", "fd00:ec2::254", errPrivate},
		{"", "::ffff:192.168.1.1", errPrivate},
		{"10.1.2.3", "100.100.100.200", errPrivate},
		{"", "0.1.2.3", errPrivate},
		{"", "198.18.0.1", errPrivate},
		{"", "255.255.255.255", errPrivate},
		{"", "64:ff9b::a00:1", errPrivate},
		{"", "2002:a00:1::", errPrivate},
	} {
		var backend netip.Addr
		if c.backend != "" {
			backend = netip.MustParseAddr(c.backend)
		}
		if err := mayReach(netip.MustParseAddr(c.at), own, backend); !errors.Is(err, c.want) {
			t.Errorf("a backend at %q, its store at %s: %v, want %v", c.backend, c.at, err, c.want)
		}
	}
}

// A proxy is not a way around.
func TestReachThroughAProxy(t *testing.T) {
	t.Parallel()
	c := &Config{Backend: mustURL(t, "wss://api.example.com/prod")}
	for host, want := range map[string]error{
		"bucket.s3.amazonaws.com": nil, "52.216.0.1": nil, "localhost": errThisMachine, "a.localhost.": errThisMachine,
		"127.0.0.1": errThisMachine, "::1": errThisMachine, "169.254.169.254": errThisMachine, "10.0.0.1": errPrivate,
	} {
		if err := c.reachByName(host); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", host, err, want)
		}
	}
}
