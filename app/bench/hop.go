package main

import (
	"context"
	"crypto/tls"
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"

	"culvert/app/config"
)

// hopPart is one httputil.ReverseProxy, which keeps as many connections to what is
// behind it as it needs: a pool that is too small would make it look bad.
func hopPart(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("hop", flag.ContinueOnError)
	to := f.String("to", "", "URL of what is behind it")
	cert := f.String("cert", "", "serve TLS with this certificate")
	key := f.String("key", "", "its key")
	ca := f.String("ca", "", "trusted certificate of what is behind it")
	if err := f.Parse(args); err != nil {
		return err
	}
	behind, err := url.Parse(*to)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4096}
	if *ca != "" {
		roots, err := config.ReadRoots(*ca)
		if err != nil {
			return err
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	return serve(ctx, &httputil.ReverseProxy{
		Transport: transport, BufferPool: &buffers{},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(behind)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
	}, *cert, *key)
}

// buffers implements httputil.BufferPool.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[chunk]byte); ok {
		return buf[:]
	}
	return make([]byte, chunk)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[chunk]byte)(buf)) }
