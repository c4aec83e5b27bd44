package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawRequest is a request as a local service got it, byte for byte.
type rawRequest struct {
	line   string   // request line
	header []string // field lines, in order
	body   string   // decoded if it was chunked
}

// fields gives the values of a field, in order.
func (r rawRequest) fields(name string) []string {
	var values []string
	for _, line := range r.header {
		n, v, _ := strings.Cut(line, ":")
		if strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// recorder is a local service that keeps the bytes of each request and gives
// the same bytes as answer to each. It parses as strictly as it can: whatever
// it finds odd is a finding.
type recorder struct {
	ln     net.Listener
	answer string

	mu       sync.Mutex
	requests []rawRequest
	oddities []string
	conns    []net.Conn
}

const rawOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-From: service\r\n\r\nok"

func record(t testing.TB, answer string) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{ln: ln, answer: answer}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			conns.Go(func() { defer conn.Close(); r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		r.mu.Lock()
		for _, conn := range r.conns {
			conn.Close()
		}
		r.mu.Unlock()
		conns.Wait()
		for _, odd := range r.oddities {
			t.Errorf("the local service got a malformed request: %s", odd)
		}
	})
	return r
}

func (r *recorder) target() string { return r.ln.Addr().String() }

func (r *recorder) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		req, err := readRaw(in)
		if err != nil {
			var odd oddity
			if errors.As(err, &odd) {
				r.mu.Lock()
				r.oddities = append(r.oddities, string(odd))
				r.mu.Unlock()
			}
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, req)
		r.mu.Unlock()
		if _, err := io.WriteString(conn, r.answer); err != nil || r.answer != rawOK {
			return
		}
	}
}

// got gives the requests so far.
func (r *recorder) got() []rawRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// oddity is what no sane HTTP/1.1 client sends.
type oddity string

func (o oddity) Error() string { return string(o) }

// readRaw reads one request. Ends of connections between requests are no oddities.
func readRaw(in *bufio.Reader) (rawRequest, error) {
	line := func() (string, error) {
		s, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		s, ok := strings.CutSuffix(s, "\r\n")
		if !ok || strings.ContainsAny(s, "\r\x00") {
			return "", oddity(fmt.Sprintf("line %q", s))
		}
		return s, nil
	}
	var req rawRequest
	var err error
	if req.line, err = line(); err != nil {
		return req, err
	}
	if parts := strings.Split(req.line, " "); len(parts) != 3 || parts[2] != "HTTP/1.1" {
		return req, oddity(fmt.Sprintf("request line %q", req.line))
	}
	for {
		field, err := line()
		if err != nil {
			return req, err
		}
		if field == "" {
			break
		}
		name, _, ok := strings.Cut(field, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return req, oddity(fmt.Sprintf("field line %q", field))
		}
		req.header = append(req.header, field)
	}
	length, coding := req.fields("Content-Length"), req.fields("Transfer-Encoding")
	if len(length) > 1 || len(coding) > 1 || len(length)+len(coding) > 1 || len(req.fields("Host")) != 1 {
		return req, oddity(fmt.Sprintf("framing or host: %q", req.header))
	}
	switch {
	case len(length) == 1:
		var n int
		if _, err := fmt.Sscanf(length[0], "%d", &n); err != nil || fmt.Sprint(n) != length[0] {
			return req, oddity(fmt.Sprintf("Content-Length %q", length[0]))
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return req, err
		}
		req.body = string(body)
	case len(coding) == 1:
		if coding[0] != "chunked" {
			return req, oddity(fmt.Sprintf("Transfer-Encoding %q", coding[0]))
		}
		for {
			size, err := line()
			if err != nil {
				return req, err
			}
			var n int
			if _, err := fmt.Sscanf(size, "%x", &n); err != nil {
				return req, oddity(fmt.Sprintf("chunk size %q", size))
			}
			chunk := make([]byte, n)
			if _, err := io.ReadFull(in, chunk); err != nil {
				return req, err
			}
			req.body += string(chunk)
			end, err := line()
			for n == 0 && err == nil && end != "" { // trailers
				end, err = line()
			}
			if err != nil || end != "" {
				return req, oddity(fmt.Sprintf("chunk ends with %q: %v", end, err))
			}
			if n == 0 {
				break
			}
		}
	}
	return req, nil
}

// sendRaw writes bytes to the relay and gives all that it answers until it
// closes the connection or, as the request is to say "Connection: close" if it
// is sane, until patience ends.
func sendRaw(t testing.TB, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, conn); err != nil && !isReset(err) {
		t.Errorf("after %q and the answer %q: %v", request, got.String(), err)
	}
	return got.String()
}

// statusOf gives the status of the first answer in raw bytes, 0 for none.
func statusOf(raw string) int {
	var status int
	var minor int
	_, _ = fmt.Sscanf(raw, "HTTP/1.%d %d", &minor, &status)
	return status
}
