package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// RFC 7515, appendix A.1 to A.3: the claims are {"iss":"joe","exp":1300819380,…}, which
// was in the future in the year in which these tests begin. A good signature is told by
// what is said next: there is no user.
func TestKnownTokens(t *testing.T) {
	t.Parallel()
	const (
		claims = ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
		hs256  = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" + claims + "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
		rs256  = "eyJhbGciOiJSUzI1NiJ9" + claims + "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
		es256  = "eyJhbGciOiJFUzI1NiJ9" + claims + "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
		keys   = `{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
			{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	)
	synctest.Test(t, func(t *testing.T) {
		k, err := jwt.NewParser().DecodeSegment("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
		if err != nil {
			t.Fatal(err)
		}
		v, err := New(Config{Secrets: [][]byte{k}, JWKS: write(t, filepath.Join(t.TempDir(), "jwks"), keys), Issuer: "joe", Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		for alg, token := range map[string]string{"HS256": hs256, "RS256": rs256, "ES256": es256} {
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) || !strings.Contains(err.Error(), "names no user") {
				t.Errorf("%s: %v", alg, err)
			}
			forged := strings.Replace(token, "eyJpc3MiOiJqb2UiLA0KIC", "eyJpc3MiOiJqb2UiLA0KID", 1)
			if _, err := v.Verify(t.Context(), forged); !errors.Is(err, ErrInvalidToken) || strings.Contains(err.Error(), "names no user") {
				t.Errorf("%s, forged: %v", alg, err)
			}
		}
		time.Sleep(time.Until(time.Unix(1300819380, 0)) + leeway)
		if _, err := v.Verify(t.Context(), es256); !errors.Is(err, ErrExpired) {
			t.Errorf("in 2011: %v", err)
		}
	})
}

// A new key counts at once, and one that was taken back a quarter of an hour later.
func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &idp{}
		provider.publish(key("p256"))
		v := provider.verifier(t, quiet())
		older, newer := key("p256").token(t, ann), key("ed").token(t, ann)
		check := func(when, token string, ok bool, fetches int) {
			t.Helper()
			if _, err := v.Verify(t.Context(), token); (err == nil) != ok || err != nil && !errors.Is(err, ErrInvalidToken) {
				t.Errorf("%s: %v", when, err)
			}
			if n := provider.count(); n != fetches {
				t.Errorf("%s: %d fetches, want %d", when, n, fetches)
			}
		}
		check("at first", older, true, 1)
		check("again", older, true, 1)
		provider.publish(key("ed"), key("p256"))
		time.Sleep(time.Second)
		check("a new key", newer, true, 2)
		check("the old one beside it", older, true, 2)
		provider.publish(key("ed"))
		time.Sleep(refreshAfter - time.Second)
		check("taken back, not known yet", older, true, 2)
		time.Sleep(time.Second)
		check("taken back", older, false, 3)
		check("the new one remains", newer, true, 3)
		time.Sleep(100 * 24 * time.Hour)
		check("after a long sleep", newer, true, 4)
	})
}

// While the provider is down, what is known counts for a day. A token by an unknown key
// is not refused for good: the key may be new.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, log := &idp{}, &lines{}
		v := provider.verifier(t, log.logger())
		known, unknown := key("ed").token(t, ann), key("p256").token(t, ann)
		if _, err := v.Verify(t.Context(), known); !errors.Is(err, ErrNoKeys) || errors.Is(err, ErrInvalidToken) {
			t.Errorf("nothing was fetched: %v", err)
		}
		if err := v.Refresh(t.Context()); !errors.Is(err, errDown) || !strings.Contains(err.Error(), "https://id.example.com/keys: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("an operator is told %v", err)
		}
		if log.count("no route to host") != 2 || log.count("hunter2") != 0 || log.count("tokens cannot be checked") != 2 {
			t.Errorf("the log says\n%s", log.text.String())
		}
		provider.publish(key("ed"))
		if _, err := v.Verify(t.Context(), known); err != nil {
			t.Fatalf("the provider is back: %v", err)
		}
		provider.set(nil)
		for range 24*60 - 1 { // somebody comes every minute
			time.Sleep(time.Minute)
			if _, err := v.Verify(t.Context(), known); err != nil {
				t.Fatalf("a known key, after %v: %v", time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), err)
			}
			if _, err := v.Verify(t.Context(), unknown); !errors.Is(err, ErrNoKeys) {
				t.Fatalf("an unknown key: %v", err)
			}
		}
		if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, ann)); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("HS256 is never good here: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := v.Verify(t.Context(), known); !errors.Is(err, ErrNoKeys) {
			t.Errorf("a day later: %v", err)
		}
		if log.count("hunter2") != 0 || log.count("count for a day") == 0 {
			t.Errorf("the log says\n%.2000s", log.text.String())
		}
		provider.publish(key("ed"))
		time.Sleep(fetchEvery)
		if _, err := v.Verify(t.Context(), known); err != nil {
			t.Errorf("the provider is back: %v", err)
		}
	})
}

// Answers that are none leave what is known as it is.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, jwks(key("p256")))
		}
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		says  string
	}{
		"down":                         {nil, "no route to host"},
		"not found":                    {status(404), "404"},
		"failing":                      {status(503), "503"},
		"nothing new":                  {status(304), "304"},
		"half":                         {status(206), "206"},
		"a page":                       {text("<!doctype html>"), "no JSON Web Key Set"},
		"no keys":                      {text(`{"keys":[]}`), "no key that tokens could be checked with"},
		"secrets only":                 {text(`{"keys":[{"kty":"oct","k":"` + b64(secret) + `"}]}`), "it is a secret"},
		"huge":                         {text(jwks(key("p256")) + strings.Repeat(" ", maxJWKS)), "longer than 512 KB"},
		"redirect to http":             {redirect("http://id.example.com/keys"), "a redirect leads away from https"},
		"redirect to a file":           {redirect("file:///etc/passwd"), "a redirect leads away from https"},
		"redirect for ever":            {redirect("/keys"), "more than 3 redirects"},
		"redirect to http on loopback": {redirect("http://127.0.0.1/keys"), "a redirect leads away from https"},
	} {
		synctest.Test(t, func(t *testing.T) {
			provider := &idp{}
			provider.publish(key("ed"))
			v := provider.verifier(t, quiet())
			if err := v.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			provider.set(c.serve)
			time.Sleep(refreshAfter)
			if err := v.Refresh(t.Context()); err != nil {
				t.Errorf("%s: %v, while what is known will do", name, err)
			}
			if _, err := v.Verify(t.Context(), key("ed").token(t, ann)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := v.Verify(t.Context(), key("p256").token(t, ann)); !errors.Is(err, ErrNoKeys) {
				t.Errorf("%s: a key that was in what is no answer: %v", name, err)
			}
			other := &idp{serve: c.serve}
			fresh := other.verifier(t, quiet())
			if err := fresh.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), b64(secret)) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
			if n := other.count(); n > 1+maxRedirects {
				t.Errorf("%s: %d requests", name, n)
			}
		})
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

func TestRedirectByHTTPS(t *testing.T) {
	t.Parallel()
	provider := &idp{}
	provider.set(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "keys.example.com" {
			redirect("https://keys.example.com/")(w, r)
			return
		}
		io.WriteString(w, jwks(key("ed")))
	})
	if _, err := provider.verifier(t, quiet()).Verify(t.Context(), key("ed").token(t, ann)); err != nil {
		t.Error(err)
	}
}

// Made-up key names cost the provider next to nothing, and honest users nothing.
func TestKidFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &idp{}
		provider.publish(key("ed"))
		v := provider.verifier(t, quiet())
		good := key("ed").token(t, ann)
		const seconds = 600
		for n := range seconds * 2 {
			forged := key("p256").tokenBy(t, "ES256", map[string]any{"kid": fmt.Sprint("made-up-", n)}, ann)
			if _, err := v.Verify(t.Context(), forged); !errors.Is(err, ErrInvalidToken) || !strings.Contains(err.Error(), "not signed with one of the keys") {
				t.Fatalf("number %d: %v", n, err)
			}
			if _, err := v.Verify(t.Context(), good); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 2)
		}
		if n, most := provider.count(), fetchBurst+seconds/int(fetchEvery/time.Second)+1; n > most || n < 3 {
			t.Errorf("%d fetches in %d s, want at most %d", n, seconds, most)
		}
		// A key that is new counts when the next fetch is due.
		provider.publish(key("ed"), key("p384"))
		newer := key("p384").token(t, ann)
		if _, err := v.Verify(t.Context(), newer); err != nil && !errors.Is(err, ErrInvalidToken) {
			t.Errorf("a new key during a flood: %v", err)
		}
		time.Sleep(fetchEvery)
		if _, err := v.Verify(t.Context(), newer); err != nil {
			t.Errorf("a new key after a flood: %v", err)
		}
	})
}

// Once the set could not be fetched, nobody knows, however new the one before is.
func TestKidFloodInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &idp{}
		provider.publish(key("ed"))
		v := provider.verifier(t, quiet())
		if _, err := v.Verify(t.Context(), key("ed").token(t, ann)); err != nil {
			t.Fatal(err)
		}
		provider.set(nil)
		time.Sleep(time.Second)
		forged := key("p256").tokenBy(t, "ES256", map[string]any{"kid": "made-up"}, ann)
		for n := range 2 * fetchBurst {
			if _, err := v.Verify(t.Context(), forged); !errors.Is(err, ErrNoKeys) {
				t.Fatalf("number %d: %v", n, err)
			}
		}
	})
}

// Many come at once: one fetches, and the others wait for it. Who gives up harms nobody.
func TestOneFetchAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &idp{}
		provider.set(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			io.WriteString(w, jwks(key("ed")))
		})
		v := provider.verifier(t, quiet())
		good := key("ed").token(t, ann)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var first, later error
		var ok atomic.Int32
		var wg sync.WaitGroup
		wg.Go(func() { _, first = v.Verify(impatient, good) })
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, later = v.Verify(ctx, good)
		})
		for range 50 {
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), good); err == nil {
					ok.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 50 || provider.count() != 1 {
			t.Errorf("%d of 50 came through, by %d fetches", ok.Load(), provider.count())
		}
		if first != nil { // it fetched, and then all was well
			t.Errorf("who came first: %v", first)
		}
		if !errors.Is(later, context.DeadlineExceeded) || errors.Is(later, ErrInvalidToken) {
			t.Errorf("who waited for less than the fetch took: %v", later)
		}

		// While keys are refreshed, the known ones serve everybody else.
		time.Sleep(refreshAfter)
		wg.Go(func() { _, _ = v.Verify(t.Context(), good) })
		synctest.Wait()
		began := time.Now()
		if _, err := v.Verify(t.Context(), good); err != nil || time.Since(began) != 0 {
			t.Errorf("during a refresh: %v after %v", err, time.Since(began))
		}
		wg.Wait()
		if provider.count() != 2 {
			t.Errorf("%d fetches", provider.count())
		}
	})
}

// A provider that does not answer holds somebody up for some seconds, and not more often
// than fetches are due.
func TestSilentProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider := &idp{}
		provider.set(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		v := provider.verifier(t, quiet())
		began := time.Now()
		_, err := v.Verify(t.Context(), key("ed").token(t, ann))
		if !errors.Is(err, ErrNoKeys) || time.Since(began) != fetchTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		for range 20 {
			_, _ = v.Verify(t.Context(), key("ed").token(t, ann))
		}
		if n := provider.count(); n > fetchBurst+1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// A transport that panics leaves nobody waiting.
func TestPanickingTransport(t *testing.T) {
	t.Parallel()
	provider := &idp{}
	provider.set(func(http.ResponseWriter, *http.Request) { panic("oh") })
	v := provider.verifier(t, quiet())
	func() {
		defer func() { _ = recover() }()
		_, _ = v.Verify(t.Context(), key("ed").token(t, ann))
	}()
	provider.publish(key("ed"))
	if _, err := v.Verify(t.Context(), key("ed").token(t, ann)); err != nil {
		t.Error(err)
	}
}

// A real server with a certificate, concurrently, while its keys are replaced.
func TestRealServer(t *testing.T) {
	t.Parallel()
	var fetches atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fetches.Add(1) == 1 {
			io.WriteString(w, jwks(key("p256")))
			return
		}
		io.WriteString(w, jwks(key("p256"), key("ed")))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	if _, err := mustNew(t, Config{JWKS: server.URL, Logger: quiet()}).Verify(t.Context(), key("p256").token(t, ann)); !errors.Is(err, ErrNoKeys) {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
	if err := mustNew(t, Config{JWKS: server.URL, Logger: quiet()}).Refresh(t.Context()); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("an operator is told %v", err)
	}
	v := mustNew(t, Config{JWKS: server.URL, Transport: server.Client().Transport, Logger: quiet()})
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			k := key([]string{"p256", "ed"}[n%2])
			if _, err := v.Verify(t.Context(), k.token(t, ann)); err != nil {
				t.Errorf("%s: %v", k.kid, err)
			}
			_, _ = v.Verify(t.Context(), key("p384").token(t, ann))
		})
	}
	wg.Wait()
	if n := fetches.Load(); n > fetchBurst {
		t.Errorf("%d fetches", n)
	}
}

// By the transport that it makes itself, http on loopback.
func TestLoopback(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(text(jwks(key("ed"))))
	v := mustNew(t, Config{JWKS: server.URL, Logger: quiet()})
	if _, err := v.Verify(t.Context(), key("ed").token(t, ann)); err != nil {
		t.Error(err)
	}
	server.Close() // waits for connections that are in use, and there is none
	if _, err := v.Verify(t.Context(), key("ed").token(t, ann)); err != nil {
		t.Errorf("a known key: %v", err)
	}
	// Of an answer without end no more is read than a set may have.
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", 64<<10)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	if err := mustNew(t, Config{JWKS: endless.URL, Logger: quiet()}).Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than 512 KB") {
		t.Errorf("an answer without end: %v", err)
	}
	elsewhere := httptest.NewServer(redirect("http://id.example.com/keys"))
	defer elsewhere.Close()
	if err := mustNew(t, Config{JWKS: elsewhere.URL, Logger: quiet()}).Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "by https only") {
		t.Errorf("a redirect from loopback: %v", err)
	}
}

func mustNew(t *testing.T, c Config) *Verifier {
	t.Helper()
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		config Config
		says   string
	}{
		"nothing":             {Config{}, "needs at least 32 bytes"},
		"a short secret":      {Config{Secrets: [][]byte{secret, []byte("hello")}, JWKS: "https://id.example.com"}, "needs at least 32 bytes"},
		"http":                {Config{JWKS: "http://id.example.com/keys"}, "by https only"},
		"HTTP":                {Config{JWKS: "HTTP://id.example.com/keys"}, "by https only"},
		"http on no loopback": {Config{JWKS: "http://127.0.0.1.example.com/"}, "by https only"},
		"no host":             {Config{JWKS: "https:///keys"}, "no URL such as"},
		"no URL":              {Config{JWKS: "https://user:hunter2@[::1"}, "no URL such as"},
		"no file":             {Config{JWKS: filepath.Join(dir, "none")}, "no such file"},
		"a folder":            {Config{JWKS: dir}, "no regular file"},
		"a file of nothing":   {Config{JWKS: write(t, filepath.Join(dir, "empty"), "")}, "no JSON Web Key Set"},
		"a file of secrets":   {Config{JWKS: write(t, filepath.Join(dir, "secrets"), `{"keys":[{"kty":"oct","k":"`+b64(secret)+`"}]}`)}, "it is a secret"},
		"a long file":         {Config{JWKS: write(t, filepath.Join(dir, "long"), strings.Repeat(" ", maxJWKS+1))}, "longer than 512 KB"},
	} {
		c.config.Logger = quiet()
		if _, err := New(c.config); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
