package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// Visitors who ask and never take the answers are cut, also where the relay itself
// answers.
func TestWhoTakesNoAnswersIsCut(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.StallTimeout = 300 * time.Millisecond })
	for name, head := range map[string]string{
		"unknown tunnel": "GET /none/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"own path":       "GET /_status/none HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"odd request":    "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := r.raw()
			c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			requests := strings.Repeat(head, 1000)
			for {
				_, err := io.WriteString(c, requests)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the connection lives on")
				}
				if err != nil {
					return
				}
			}
		})
	}
}
