package main

import (
	"net"
	"strconv"
	"testing"
)

func TestDialDisplay(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	port := server.Addr().(*net.TCPAddr).Port
	if port < 6000 {
		t.Skipf("port %d is no display's", port)
	}
	there := "127.0.0.1:" + strconv.Itoa(port-6000)
	for display, ok := range map[string]bool{
		there: true, there + ".0": true, "127.0.0.1:65536": false, ":65535": false, "unix:65535.1": false,
		"0": false, "": false, ":x": false, ":-1": false, "/private/tmp/launchd/org.xquartz:0": true,
	} {
		if err := dialDisplay(display); (err == nil) != ok {
			t.Errorf("display %q: %v; can be opened: want %v", display, err, ok)
		}
	}
	server.Close()
	if err := dialDisplay(there); err == nil {
		t.Error("a display that has gone can be opened")
	}
}
