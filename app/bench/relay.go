package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"culvert/backend/relay"
)

// relayPart is a relay that listens twice, with TLS and without. `culvert relay` listens
// once, so that with it visitors speak TLS whenever the agent does: what TLS costs on the
// link alone shows only where visitors come by the other door.
func relayPart(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("relay", flag.ContinueOnError)
	certFile := f.String("cert", "", "certificate")
	keyFile := f.String("key", "", "its key")
	if err := f.Parse(args); err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer plain.Close()
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer secure.Close()
	own, err := os.Getwd() // each process has been given a folder of its own
	if err != nil {
		return err
	}
	server, err := relay.New(relay.Config{PublicURL: &url.URL{Scheme: "http", Host: plain.Addr().String()}, StateDir: filepath.Join(own, "relay")})
	if err != nil {
		return err
	}
	served := make(chan error, 2)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { defer cancel(); served <- server.Serve(plain) }()
	go func() {
		defer cancel()
		served <- server.ServeTLS(secure, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil })
	}()
	announce(ctx, plain.Addr().String(), secure.Addr().String())
	closing, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	return errors.Join(server.Shutdown(closing), <-served, <-served)
}
