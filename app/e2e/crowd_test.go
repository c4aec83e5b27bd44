package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// halfUpload begins a request with a body and leaves it at that. It gives the
// connection and what reads from it.
func halfUpload(t testing.TB, r *relay, tunnel, header string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "POST /%s/half HTTP/1.1\r\nHost: %s\r\n%s\r\n", tunnel, r.addr(), header); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// TestForm1HalfUploadsStarveNobody has a visitor begin large uploads to an agent in
// form 1, whose bodies the relay keeps in memory, and finish none. What is only
// announced must not use that memory up. (How many requests one visitor may have
// under way at all is a matter of thousands, and of backend/relay's own tests.)
func TestForm1HalfUploadsStarveNobody(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	answer := func(_ *form1Forwarder, m message) any {
		return form1Answer(m, 200, map[string][]string{}, strings.Repeat("x", 1<<20))
	}
	one, other := dialForm1(t, "ws://"+r.addr()+"/", answer), dialForm1(t, "ws://"+r.addr()+"/", answer)
	const announced = 64 // times 8 MB, the largest body, are twice what the relay keeps
	for range announced {
		// Being told to go on says that the relay has begun to read.
		conn, in := halfUpload(t, r, one.established.TunnelID, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")
		if told, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(told, "HTTP/1.1 100 ") {
			t.Fatalf("%q, %v", told, err)
		}
		io.WriteString(conn, "1\r\na\r\n")
	}
	for name, f := range map[string]*form1Forwarder{"the same tunnel": one, "another tunnel": other} {
		url := r.url() + "/" + f.established.TunnelID + "/"
		mustGet(t, http.StatusOK, url)
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(strings.Repeat("x", 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := do(t, req); err != nil || got.status != http.StatusOK || len(got.body) != 1<<20 {
			t.Errorf("%s: %v, status %d, %d bytes", name, err, got.status, len(got.body))
		}
	}
}
