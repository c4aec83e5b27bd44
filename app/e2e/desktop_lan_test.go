package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// lanSwitch is where the switch stands in a window of 1280 × 800.
var lanSwitch = []string{"1079", "784"}

// Other devices get in only once the user has allowed it.
func TestDesktopLetsTheNetworkInOnlyWhenAllowed(t *testing.T) {
	d := startDisplay(t)
	_, port := hello(t)
	dt := startDesktop(t, d, "--open", port)
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	public := dt.copyURL(t, port)
	mustGet(t, http.StatusOK, public)
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(u.Hostname()); !ip.IsLoopback() {
		t.Fatalf("at first the URL is %s, want one of this machine only", public)
	}
	outer, private := ownAddresses(t)
	if len(outer) == 0 {
		t.Skip("this machine has no address but its loopback")
	}
	unreachable := func() error {
		for _, ip := range outer {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), u.Port()), 2*time.Second)
			if err == nil {
				conn.Close()
				return fmt.Errorf("port %s of %s answers", u.Port(), ip)
			}
		}
		return nil
	}
	if err := unreachable(); err != nil {
		t.Fatalf("before anything was allowed, %v", err)
	}

	window := dt.awaitWindow(t)
	dt.xdotool(t, append([]string{"mousemove", "--window", window}, lanSwitch...)...)
	dt.xdotool(t, "click", "1")
	if !private { // there is no network that could be meant, and the window says so
		dt.awaitNotice(t, true)
		if err := unreachable(); err != nil {
			t.Errorf("after a failure to allow it, %v", err)
		}
		return
	}
	eventually(t, func() error {
		host, _, err := net.SplitHostPort(hostOf(t, dt.copyURL(t, port)))
		if ip := net.ParseIP(host); err != nil || !ip.IsPrivate() {
			return fmt.Errorf("the URL leads to %s (%v)", host, err)
		}
		return nil
	})
	mustGet(t, http.StatusOK, dt.copyURL(t, port))
	dt.xdotool(t, "click", "1")
	eventually(t, unreachable)
	eventuallyStatus(t, http.StatusOK, public) // as it was
}

// ownAddresses are those by which others on its network may know this machine.
func ownAddresses(t testing.TB) (ips []net.IP, private bool) {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			ips = append(ips, n.IP)
			private = private || n.IP.IsPrivate()
		}
	}
	return ips, private
}
