package link

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"culvert/app/forwarder"
	"culvert/app/target"
	"culvert/backend/alloctest"
	"culvert/backend/relay"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations(t)) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations(b)) }

// operations are requests on the whole of their way: a visitor who keeps his connection,
// a relay, its link to an agent, the forwarder, a local service, and back. Visitor and
// service allocate nothing, so that what is counted are relay and agent together.
func operations(tb testing.TB) []alloctest.Operation {
	_, at := startRelay(tb, relay.Config{})
	exchange := func(size, most int) alloctest.Operation {
		to, err := target.Parse(cannedService(tb, size))
		if err != nil {
			tb.Fatal(err)
		}
		forward, err := forwarder.New(forwarder.Config{Target: to})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(forward.Close)
		l, err := dialTo(tb, &Config{Handler: forward.Serve, Agent: "test"}, at.String())
		if err != nil {
			tb.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- l.Run(context.Background()) }()
		tb.Cleanup(func() { l.Close(); <-ended })
		ask := visitorOf(tb, at.Host, l.Established().TunnelID, size)
		return alloctest.Operation{
			// The server of net/http has a goroutine beside each request, which may be late.
			Name: fmt.Sprintf("bytes=%d", size), Max: most, Slack: 3, Bytes: int64(size), Do: ask,
		}
	}
	return []alloctest.Operation{exchange(200, 60), exchange(100<<10, 60)}
}

// cannedService answers every read with an answer of that size; it gives its address.
func cannedService(tb testing.TB, size int) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n", size)
	answer = append(answer, bytes.Repeat([]byte("x"), size)...)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for seen := make([]byte, 4<<10); ; {
					if _, err := c.Read(seen); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	tb.Cleanup(func() { ln.Close(); <-over })
	return ln.Addr().String()
}

// visitorOf gives a browser's request to a tunnel, to be made again and again on one
// connection.
func visitorOf(tb testing.TB, host, tunnel string, size int) (ask func()) {
	c, err := net.Dial("tcp", host)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	request := fmt.Appendf(nil, "GET /%s/v1/items?page=2 HTTP/1.1\r\nHost: %s\r\n"+
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"+
		"Accept-Language: en-GB,en;q=0.5\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\r\n", tunnel, host)
	body := bytes.Repeat([]byte("x"), size)
	answer := make([]byte, size+1<<10)
	whole := 0 // all answers are as long as the first
	return func() {
		if _, err := c.Write(request); err != nil {
			tb.Error(err)
			return
		}
		for whole == 0 || !bytes.HasSuffix(answer[:whole], body) {
			n, err := c.Read(answer[whole:])
			if err != nil {
				tb.Fatalf("%v after %q", err, answer[:min(whole+n, 300)])
			}
			if whole += n; bytes.HasSuffix(answer[:whole], body) {
				return
			}
		}
		if _, err := io.ReadFull(c, answer[:whole]); err != nil || !bytes.HasSuffix(answer[:whole], body) {
			tb.Errorf("not the answer: %v", err)
		}
	}
}
