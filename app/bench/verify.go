package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	"culvert/app/config"
)

// verify looks once at every byte: the loads look at lengths only.
func (t *target) verify(ctx context.Context) error {
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	scheme := "http://"
	if t.ca != "" {
		roots, err := config.ReadRoots(t.ca)
		if err != nil {
			return err
		}
		scheme, transport.TLSClientConfig = "https://", &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	client := &http.Client{Transport: transport, Timeout: patience}
	ask := func(method, path string, body []byte, want []byte) error {
		req, err := http.NewRequestWithContext(ctx, method, scheme+t.addr+t.prefix+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("%s: %w%s", t.name, err, t.complaints())
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
			return fmt.Errorf("%s: %s %s: status %d with %d bytes, which are not those of the local service (%v)%s", t.name, method, path, resp.StatusCode, len(got), err, t.complaints())
		}
		return nil
	}
	for path, size := range map[string]int{"/small": smallBody, "/large": largeBody, "/bulk?n=1000001": 1000001} {
		want := content(size)
		if size > largeBody { // its pieces begin anew
			want = bytes.Repeat(content(chunk), size/chunk+1)[:size]
		}
		if err := ask(http.MethodGet, path, nil, want); err != nil {
			return err
		}
	}
	body := make([]byte, 1<<20)
	_, _ = rand.Read(body) // never fails
	sum := sha256.Sum256(body)
	return ask(http.MethodPost, "/digest", body, []byte(hex.EncodeToString(sum[:])))
}

// verifyAll verifies and has everything used once before it is measured.
func verifyAll(ctx context.Context, targets ...*target) error {
	for _, t := range targets {
		if err := t.verify(ctx); err != nil {
			return err
		}
	}
	return nil
}
