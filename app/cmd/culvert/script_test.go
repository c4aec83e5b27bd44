package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"culvert/backend/auth"
	"culvert/backend/relay"
)

// TestMain makes this test binary the command itself, when it is called culvert.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"culvert": main})
}

// TestScript calls the command as a person does. The scripts are in testdata/script.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, "<!doctype html><title>Welcome!</title>")
			}))
			env.Defer(web.Close)
			env.Setenv("WEB", web.URL)
			if err := backends(env); err != nil {
				return err
			}
			// A folder that is not there yet, as on the first day.
			env.Setenv("CULVERT_CONFIG_DIR", env.WorkDir+"/config/culvert")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// signingSecret signs the tokens of the scripts' relay.
const signingSecret = "0123456789abcdef0123456789abcdef"

// backends starts a relay for this machine, $RELAY, one that wants tokens, $GUARDED, and
// one that wants them after connecting, $DEFERRED; $GONE is one that has stopped. The file token has a token for Ann, old one that has
// expired; in the folder at-guarded is a configuration for $GUARDED.
func backends(env *testscript.Env) error {
	for name, when := range map[string]relay.ConnectAuth{"RELAY": "", "GUARDED": relay.AuthRequired, "DEFERRED": relay.AuthDeferred, "GONE": ""} {
		at, stop, err := serveRelay(when)
		if err != nil {
			return err
		}
		env.Setenv(name, at)
		if name == "GONE" {
			stop()
		} else {
			env.Defer(stop)
		}
	}
	files := map[string]string{"at-guarded/config.toml": fmt.Sprintf(
		"profile = \"mine\"\n[profiles.mine]\nbackend = %q\ntoken_file = \"ann.token\"\n", env.Getenv("GUARDED"))}
	for name, life := range map[string]time.Duration{"token": 30 * 24 * time.Hour, "at-guarded/ann.token": 30 * 24 * time.Hour, "old": -49 * time.Hour} {
		var err error
		if files[name], err = tokenOfAnn(life); err != nil {
			return err
		}
	}
	for name, text := range files {
		path := filepath.Join(env.WorkDir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// serveRelay starts a relay in this process; when it wants tokens, "" for never.
func serveRelay(when relay.ConnectAuth) (at string, stop func(), err error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	cfg := relay.Config{PublicURL: &url.URL{Scheme: "http", Host: ln.Addr().String()}, Version: "culvert-relay/1.2.3"}
	if when != "" {
		v, err := auth.NewSecretVerifier([]byte(signingSecret))
		if err != nil {
			return "", nil, err
		}
		cfg.Authenticate, cfg.ConnectAuth = v.Verify, when
	}
	server, err := relay.New(cfg)
	if err != nil {
		return "", nil, err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln) // until the end
	}()
	return cfg.PublicURL.String(), func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no grace
		_ = server.Shutdown(ctx)
		_ = ln.Close()
		<-served
	}, nil
}

// tokenOfAnn makes a token that is valid for so long.
func tokenOfAnn(life time.Duration) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ann", "exp": time.Now().Add(life).Unix(),
	}).SignedString([]byte(signingSecret))
}

// exits runs a command and wants that exit code: exits 2 culvert frobnicate
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	var ended *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}
