package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"culvert/backend/wire"
)

const (
	// blobTimeout bounds the way of one body to or from an object store: the URLs
	// for it are good for a minute.
	blobTimeout = time.Minute
	// blobHeadTimeout bounds the wait for the store's answer after that.
	blobHeadTimeout = 20 * time.Second
	maxRedirects    = 3
)

// blobs gets and puts bodies at an object store, by the presigned URLs of requests.
// Its errors name no URL: whoever knows one can use it.
type blobs struct {
	client *http.Client
	secure bool // only https
	agent  string
	log    *slog.Logger
}

// What a backend is told about its object store, and visitors with it. Why is in the log
// only: it may be about what the backend has no business to know.
var (
	errNoBlob    = errors.New("the object store did not give it: the agent's log says why")
	errNoUpload  = errors.New("the object store did not take it: the agent's log says why")
	errBlobBroke = errors.New("the request's body did not come from the object store as announced: the agent's log says why")
)

// blobs gives the session's client, which settle lets go of.
func (c *Config) blobs() *blobs {
	c.blobOnce.Do(func() {
		open := &net.Dialer{Timeout: orDefault(c.DialTimeout, defaultDialTimeout)}
		guarded := *open
		byName := func(string) error { return nil }
		if !loopback(c.Backend.Hostname()) {
			guarded.ControlContext, byName = c.reach, c.reachByName
		}
		c.blobClient = &blobs{
			client: &http.Client{
				Transport:     &ways{direct: c.blobTransport(&guarded, nil), proxied: c.blobTransport(open, environmentProxy), byName: byName},
				CheckRedirect: sameHost,
			},
			secure: c.Backend.Scheme == "wss",
			agent:  c.Agent,
			log:    c.logger(),
		}
	})
	return c.blobClient
}

func (c *Config) blobTransport(dialer *net.Dialer, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		TLSHandshakeTimeout:   orDefault(c.DialTimeout, defaultDialTimeout),
		ResponseHeaderTimeout: blobHeadTimeout,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		DisableCompression:    true, // bodies are what they are
	}
}

func environmentProxy(r *http.Request) (*url.URL, error) {
	return httpproxy.FromEnvironment().ProxyFunc()(r.URL)
}

// ways go to an object store, or through a proxy, which may well be on this machine.
type ways struct {
	direct, proxied *http.Transport
	byName          func(host string) error // why a proxy is not to be asked for the host
}

func (w *ways) RoundTrip(r *http.Request) (*http.Response, error) {
	if via, err := environmentProxy(r); via == nil && err == nil {
		return w.direct.RoundTrip(r)
	}
	if err := w.byName(r.URL.Hostname()); err != nil {
		return nil, err
	}
	return w.proxied.RoundTrip(r)
}

func (w *ways) CloseIdleConnections() {
	w.direct.CloseIdleConnections()
	w.proxied.CloseIdleConnections()
}

// sameHost follows few redirects, and none to another host: the backend has named
// one, and what it does not name is not the agent's to visit.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// loopback: the host is this machine, by its name.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// get opens the body that a request has there, of size bytes. The caller closes it.
func (b *blobs) get(ctx context.Context, from string, size int64) (io.ReadCloser, error) {
	body, err := b.fetch(ctx, from, size)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		b.log.Warn("a request's body was not fetched", "error", err)
		return nil, errNoBlob
	}
	return body, nil
}

func (b *blobs) fetch(ctx context.Context, from string, size int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	resp, err := b.do(ctx, http.MethodGet, from, nil, 0, "")
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.ContentLength >= 0 && resp.ContentLength != size {
		cancel()
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the object store has %d bytes, and not %d", resp.ContentLength, size)
	}
	return &blobBody{ReadCloser: resp.Body, left: size, cancel: cancel, log: b.log}, nil
}

// blobBody is exactly as long as announced, or fails.
type blobBody struct {
	io.ReadCloser
	left   int64
	cancel context.CancelFunc
	log    *slog.Logger
}

func (b *blobBody) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if err != nil && err != io.EOF {
		b.log.Warn("a request's body broke off", "error", err)
		err = errBlobBroke
	}
	return n, err
}

func (b *blobBody) read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	switch b.left -= int64(n); {
	case b.left == 0:
		if more, _ := io.ReadFull(b.ReadCloser, make([]byte, 1)); more > 0 {
			return n, errors.New("the body in the object store is longer than announced")
		}
		return n, nil
	case err == io.EOF:
		return n, errors.New("the body ended early in the object store")
	case err != nil:
		return n, fmt.Errorf("fetching the body from the object store: %w", withoutURL(err))
	}
	return n, nil
}

func (b *blobBody) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}

// put uploads size bytes of body by a presigned POST.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
func (b *blobs) put(ctx context.Context, to *wire.Upload, body io.Reader, size int64) error {
	if err := b.send(ctx, to, body, size); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.log.Warn("an answer's body was not uploaded", "error", err)
		return errNoUpload
	}
	return nil
}

func (b *blobs) send(ctx context.Context, to *wire.Upload, body io.Reader, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for _, name := range slices.Sorted(maps.Keys(to.Fields)) {
		if err := w.WriteField(name, to.Fields[name]); err != nil {
			return err
		}
	}
	// The file goes last: fields after it would be ignored.
	if _, err := w.CreateFormFile("file", "body"); err != nil {
		return err
	}
	before := bytes.Clone(form.Bytes())
	form.Reset()
	if err := w.Close(); err != nil {
		return err
	}
	after := form.Bytes()
	// S3 wants the length ahead.
	resp, err := b.do(ctx, http.MethodPost, to.URL,
		io.MultiReader(bytes.NewReader(before), io.LimitReader(body, size), bytes.NewReader(after)),
		int64(len(before)+len(after))+size, w.FormDataContentType())
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return resp.Body.Close()
}

// do sends a request and wants an answer of 2xx.
func (b *blobs) do(ctx context.Context, method, to string, body io.Reader, length int64, contentType string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, errors.New("the backend names an invalid URL for its object store")
	}
	if b.secure && req.URL.Scheme != "https" {
		return nil, errors.New("the backend names an object store without TLS")
	}
	req.ContentLength = length
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if b.agent != "" {
		req.Header.Set("User-Agent", b.agent)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reaching the object store: %w", withoutURL(err))
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, fmt.Errorf("the object store answered %d %s", resp.StatusCode, s3Code(resp.Body))
	}
	return resp, nil
}

// withoutURL takes the wrapping off that names the URL.
func withoutURL(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// s3Code is the code in S3's error document, such as EntityTooLarge.
func s3Code(body io.Reader) string {
	var e struct {
		Code string `xml:"Code"`
	}
	if xml.NewDecoder(io.LimitReader(body, 4<<10)).Decode(&e) != nil {
		return ""
	}
	return printable(e.Code)
}

func (b *blobs) close() { b.client.CloseIdleConnections() }
