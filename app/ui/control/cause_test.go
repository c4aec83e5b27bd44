package control

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/app/link"
	"culvert/app/ui/words"
	"culvert/backend/auth"
	"culvert/backend/mux"
	"culvert/backend/wire"

	"github.com/golang-jwt/jwt/v5"
)

// Whatever the packages below say of flags, it can be said at a window.
func TestCauseKnowsNoFlags(t *testing.T) {
	t.Parallel()
	texts, n := regexp.MustCompile(`"[^"\n]*--[a-z][^"\n]*"`), 0
	for _, pattern := range []string{"link/*.go", "session/*.go", "../backend/auth/*.go"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range texts.FindAllString(string(source), -1) {
				n++
				if got := cause(errors.New(text), nil, true); strings.Contains(got, "--") {
					t.Errorf("%s: a window would say %s", file, got)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d texts with flags were found: look where they are now", n)
	}
	if got := cause(nil, nil, true); got != "" {
		t.Errorf("no error is told as %q", got)
	}
	want := "this backend wants a token: put one into the settings of the backend"
	if got := cause(errors.New("this backend wants a token: name a file that holds one with --token-file"), nil, true); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What happens often is said in the window's language. Errors come as packages link and
// session wrap them.
func TestCauseHasWords(t *testing.T) {
	to := &url.URL{Scheme: "https", Host: "tunnel.example.com:8443"}
	secret := []byte("0123456789abcdef0123456789abcdef")
	verifier, err := auth.NewSecretVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	old, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(-time.Hour).Unix()}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	_, expired := verifier.Verify(t.Context(), old)
	_, foreign := verifier.Verify(t.Context(), "e30.e30.e30")
	refused := func(err error) error { return &wire.Error{Code: wire.CodeUnauthorized, Message: err.Error()} }
	for name, tt := range map[string]struct {
		err    error
		token  bool
		en, zh string
	}{
		"silent":        {fmt.Errorf("the backend fell silent: %w", mux.ErrDead), false, "no sign of life from tunnel.example.com:8443", "毫无响应"},
		"slow":          {fmt.Errorf("it did not answer: %w", context.DeadlineExceeded), false, "no sign of life", "毫无响应"},
		"timed out":     {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, false, "no sign of life", "毫无响应"},
		"after a sleep": {fmt.Errorf("%w after this machine slept", link.ErrSilent), false, "no sign of life", "毫无响应"},
		"refused":       {fmt.Errorf("dial: %w", syscall.ECONNREFUSED), false, "connection refused by tunnel.example.com:8443", "拒绝了连接"},
		"unreachable":   {fmt.Errorf("dial: %w", syscall.ENETUNREACH), false, "no way leads to", "无法到达"},
		"no such host":  {&net.DNSError{Name: "tunnel.example.com", IsNotFound: true}, false, "no host called tunnel.example.com:", "没有名为 tunnel.example.com 的主机"},
		"no DNS":        {&net.DNSError{Name: "tunnel.example.com", Err: "server misbehaving"}, false, "cannot be looked up", "无法查询"},
		"authority":     {fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}), false, "unknown authority", "未知机构"},
		"name":          {fmt.Errorf("tls: %w", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}), false, "another name", "另一个名称"},
		"day":           {fmt.Errorf("tls: %w", x509.CertificateInvalidError{Reason: x509.Expired}), false, "not valid today", "今天无效"},
		"no TLS":        {fmt.Errorf("tls: %w", tls.RecordHeaderError{}), false, "no TLS at", "不使用 TLS"},
		"proxy":         {&link.ProxyError{Proxy: "proxy:3128", Err: syscall.ECONNREFUSED}, false, "the proxy proxy:3128", "代理 proxy:3128"},
		"expired":       {refused(expired), true, "the token has expired", "令牌已过期"},
		"revoked":       {refused(auth.ErrRevoked), true, "the token was revoked", "令牌已被撤销"},
		"foreign":       {refused(foreign), true, "does not accept the token", "不接受此令牌"},
		"no token":      {refused(foreign), false, "wants a token", "需要令牌"},
		"say who":       {refused(errors.New("say first who you are: connect with a token, or send authorize before ready")), false, "wants a token: put one into the settings", "需要令牌"},
		"no help":       {refused(errors.New("this relay accepts agents only from its own machine")), false, "only from its own machine", "only from its own machine"},
		"throttled":     {&wire.Error{Code: wire.CodeThrottled, Message: "slow down"}, true, "too much to do", "过于繁忙"},
		"anything else": {errors.New("a flying saucer: check --backend"), true, "a flying saucer: check the address", "a flying saucer"},
	} {
		for _, language := range []struct{ tag, want string }{{"en", tt.en}, {"zh", tt.zh}} {
			words.Set(language.tag)
			if got := cause(tt.err, to, tt.token); !strings.Contains(got, language.want) || strings.Contains(got, "--") {
				t.Errorf("%s: in %s it says %q, want %q in it", name, language.tag, got, language.want)
			}
		}
	}
	words.Set("en")
	if got := cause(mux.ErrDead, nil, true); !strings.Contains(got, "the built-in relay") {
		t.Errorf("of the built-in relay it says %q", got)
	}
}
