package forwarder

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// bundled is a connection below TLS that holds back what is written while it is told to.
type bundled struct {
	net.Conn
	holding bool
	held    bytes.Buffer
}

func (b *bundled) Write(p []byte) (int, error) {
	if b.holding {
		return b.held.Write(p)
	}
	return b.Conn.Write(p)
}

// What a service sends behind its answer is not taken for the next one, also when TLS
// has read it already, and nothing of it is left to be seen in the socket.
func TestMoreThanAnAnswerByTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.StartTLS()
	t.Cleanup(server.Close)
	s := rawService(t, func(c *serviceConn) {
		below := &bundled{Conn: c.Conn}
		secure := tls.Server(below, &tls.Config{Certificates: server.TLS.Certificates})
		c.br = bufio.NewReader(secure)
		if c.head() == "" {
			return
		}
		if c.n > 1 {
			secure.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
			c.untilClosed()
			return
		}
		below.holding = true
		secure.Write([]byte(okEmpty))
		secure.Write([]byte("HTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n"))
		c.Conn.Write(below.held.Bytes())
		c.untilClosed()
	})
	f := forwarderTo(t, "https://"+s.addr(), nil)
	answered(t, f, newVisit(t, "HEAD", "/"), 200)
	answered(t, f, newVisit(t, "GET", "/"), 204)
}
