package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Answers of the local service.
const (
	smallBody = 200
	largeBody = 100 << 10
	chunk     = 32 << 10
)

// content is what the local service sends, n bytes of it.
func content(n int) []byte { return bytes.Repeat([]byte("culvert."), n/8+1)[:n] }

// upstreamPart is the local service:
//
//	GET  /small      200 bytes
//	GET  /large      100 KB
//	GET  /bulk?n=N   N bytes in pieces of 32 KB
//	GET  /events     an event at once, and then none
//	POST /sink       how many bytes it was
//	POST /digest     their SHA-256
func upstreamPart(ctx context.Context, _ []string) error {
	mux := http.NewServeMux()
	for path, size := range map[string]int{"/small": smallBody, "/large": largeBody} {
		body, length := content(size), strconv.Itoa(size)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			head(w, length)
			_, _ = w.Write(body)
		})
	}
	piece := content(chunk)
	mux.HandleFunc("GET /bulk", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil || n < 0 {
			http.Error(w, "n?", http.StatusBadRequest)
			return
		}
		head(w, strconv.Itoa(n))
		for n > 0 {
			m, err := w.Write(piece[:min(n, chunk)])
			if err != nil {
				return
			}
			n -= m
		}
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = io.WriteString(w, firstEvent)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(patience):
		}
	})
	mux.HandleFunc("POST /sink", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, chunk))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
	})
	return serve(ctx, mux, "", "")
}

const firstEvent = "id: 1\ndata: first\n\n"

func head(w http.ResponseWriter, length string) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", length)
}

// serve serves until the parent has had enough.
func serve(ctx context.Context, h http.Handler, cert, key string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		if cert != "" {
			failed <- server.ServeTLS(ln, cert, key)
		} else {
			failed <- server.Serve(ln)
		}
	}()
	announce(ctx, ln.Addr().String())
	_ = server.Close()
	if err := <-failed; err != http.ErrServerClosed {
		return err
	}
	return nil
}
