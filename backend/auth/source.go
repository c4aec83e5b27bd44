package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// How fresh fetched keys are.
const (
	// refreshAfter is when keys are fetched again though nobody misses one: those that
	// were taken back shall not count much longer.
	refreshAfter = 15 * time.Minute
	// keepFor is how long keys count while they cannot be fetched.
	keepFor = 24 * time.Hour
	// fetchEvery bounds the fetches, beyond the first fetchBurst: whoever shows made-up
	// tokens shall not make this backend attack the identity provider.
	fetchEvery = 30 * time.Second
	fetchBurst = 5
	// completeFor is how long a fetched set counts as complete while fetches are bounded:
	// else tokens with made-up names of keys would look like an outage, and not be refused.
	completeFor  = time.Minute
	fetchTimeout = 5 * time.Second
	maxRedirects = 3
)

// openKeys finds out what a JWKS is.
func openKeys(c Config) (keySource, error) {
	scheme, _, ok := strings.Cut(c.JWKS, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return openKeyFile(c.JWKS, c.Logger)
	}
	u, err := url.Parse(c.JWKS)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the JWKS is no URL such as https://example.com/.well-known/jwks.json") // not repeated: it may hold a password
	}
	if err := mayFetch(u); err != nil {
		return nil, err
	}
	transport := c.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    fetchTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true, // the next fetch is a quarter of an hour away
			ForceAttemptHTTP2:      true,
		}
	}
	return &fetchedKeys{
		url: u, log: c.Logger,
		client:  &http.Client{Transport: transport, CheckRedirect: followHTTPS},
		fetches: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst),
	}, nil
}

// mayFetch refuses what others on the way could change.
func mayFetch(u *url.URL) error {
	if strings.EqualFold(u.Scheme, "https") || strings.EqualFold(u.Scheme, "http") && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("JWKS %s: keys are fetched by https only, or everybody on the way could put in his own", shown(u))
}

// shown is a URL without what may be secret.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// followHTTPS follows redirects that lead to no less safe a place.
func followHTTPS(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if strings.EqualFold(via[0].URL.Scheme, "https") && !strings.EqualFold(r.URL.Scheme, "https") {
		return errors.New("a redirect leads away from https")
	}
	return mayFetch(r.URL)
}

// fetchedKeys are keys by URL. One caller at a time fetches them, within its own call;
// the others go on with what there is, or wait if that does not do.
type fetchedKeys struct {
	url     *url.URL
	client  *http.Client
	log     *slog.Logger
	fetches *rate.Limiter

	mu      sync.Mutex
	set     keySet
	loaded  time.Time     // when the fetch of set began
	err     error         // of the last fetch
	pending chan struct{} // closed when the fetch that is under way ends; else nil
	skipped []string      // what was last said of keys that are not used
}

// clock is the time by the wall: what else there is may stand still while a Lambda
// function is frozen.
func clock() time.Time { return time.Now().Round(0) }

func (s *fetchedKeys) find(ctx context.Context, kid, alg string) ([]jwt.VerificationKey, error) {
	var found []jwt.VerificationKey
	err := s.await(ctx, func(set keySet) bool {
		found = set.find(kid, alg)
		return len(found) > 0
	})
	return found, err
}

func (s *fetchedKeys) refresh(ctx context.Context) error {
	err := s.await(ctx, func(set keySet) bool { return len(set) > 0 })
	if errors.Is(err, ErrNoKeys) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil {
			return s.err
		}
	}
	return err
}

// await looks for something in the set, and fetches the set if it is missing, old, or
// does not have it. It fails with ErrNoKeys if that cannot be told.
func (s *fetchedKeys) await(ctx context.Context, look func(keySet) bool) error {
	asked := clock()
	for {
		s.mu.Lock()
		now := clock()
		age := now.Sub(s.loaded)
		usable := s.set != nil && age < keepFor
		found := usable && look(s.set)
		fresh := age < refreshAfter && age > -refreshAfter // a clock may have been set back
		answered := usable && !s.loaded.Before(asked)      // what is not there does not exist
		if answered || found && (fresh || s.pending != nil) {
			s.mu.Unlock()
			return nil
		}
		pending := s.pending
		due := pending == nil && s.fetches.AllowN(now, 1)
		complete := usable && s.err == nil && age < completeFor && age > -completeFor
		if due {
			s.pending = make(chan struct{})
		}
		s.mu.Unlock()

		failed := true
		switch {
		case due:
			failed = s.fetch(ctx) != nil
		case pending != nil:
			select {
			case <-pending:
			case <-ctx.Done():
				return ctx.Err()
			}
			s.mu.Lock()
			failed = s.err != nil
			s.mu.Unlock()
		case complete:
			return nil
		}
		switch {
		case failed && found:
			return nil
		case failed:
			return ErrNoKeys
		}
	}
}

// fetch gets the set and stores it. Others wait for it, so that it goes on when the
// one who asked first has given up.
func (s *fetchedKeys) fetch(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	var set keySet
	var skipped []string
	err = errors.New("the fetch did not come to an end")
	began := clock()
	defer func() { // whatever happens, nobody waits for ever
		s.mu.Lock()
		defer s.mu.Unlock()
		s.store(set, skipped, began, err)
		close(s.pending)
		s.pending = nil
	}()
	set, skipped, err = s.get(ctx)
	return err
}

func (s *fetchedKeys) store(set keySet, skipped []string, began time.Time, err error) {
	s.err = err
	switch {
	case err != nil && s.set == nil:
		s.log.Error("the JWKS cannot be had, so tokens cannot be checked", "err", err)
		return
	case err != nil:
		s.log.Warn("the JWKS cannot be had: the keys that were fetched before count for a day", "err", err, "fetched", s.loaded)
		return
	}
	s.set, s.loaded = set, began
	if len(skipped) > 0 && !slices.Equal(skipped, s.skipped) {
		s.log.Warn("the JWKS holds keys that are not used", "url", shown(s.url), "keys", skipped)
	}
	s.skipped = skipped
}

func (s *fetchedKeys) get(ctx context.Context) (keySet, []string, error) {
	fail := func(err error) (keySet, []string, error) {
		return nil, nil, fmt.Errorf("JWKS %s: %w", shown(s.url), err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return fail(err)
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		if about := new(url.Error); errors.As(err, &about) {
			err = about.Err // without the URL, which is named anyway
		}
		return fail(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("the answer is %s", resp.Status))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return fail(err)
	}
	set, skipped, err := parseKeySet(text)
	if err != nil {
		return fail(err)
	}
	return set, skipped, nil
}

// fileKeys are keys by file. A file that cannot be read any more, or holds no keys,
// changes nothing.
type fileKeys struct {
	log *slog.Logger

	mu   sync.Mutex
	file watched
	set  keySet
}

func openKeyFile(path string, log *slog.Logger) (*fileKeys, error) {
	k := &fileKeys{log: log}
	k.file = watched{path: path, max: maxJWKS, parse: k.parse}
	if err, _ := k.file.look(); err != nil {
		return nil, fmt.Errorf("reading the JWKS: %w", err)
	}
	return k, nil
}

func (k *fileKeys) find(_ context.Context, kid, alg string) ([]jwt.VerificationKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err, mended := k.file.look()
	if err != nil {
		k.log.Error("the JWKS cannot be read: the keys that it held before go on to count", "err", err)
	}
	if mended {
		k.log.Info("the JWKS can be read again", "file", k.file.path)
	}
	return k.set.find(kid, alg), nil
}

func (k *fileKeys) refresh(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.file.look()
	if k.file.err != nil {
		return fmt.Errorf("reading the JWKS: %w", k.file.err)
	}
	return nil
}

// parse is called with the lock held, or before anybody has the keys.
func (k *fileKeys) parse(text []byte) error {
	set, skipped, err := parseKeySet(text)
	if err != nil {
		return err
	}
	for _, why := range skipped {
		k.log.Warn("the JWKS holds a key that is not used", "file", k.file.path, "why", why)
	}
	k.set = set
	return nil
}
