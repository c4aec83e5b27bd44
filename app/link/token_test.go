package link

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"culvert/backend/wire"
)

// TestWhichTokenIsShown has sources of every kind, and a backend that takes "good".
func TestWhichTokenIsShown(t *testing.T) {
	t.Parallel()
	sourceFails := errors.New("the token file cannot be read")
	type look struct {
		token string
		err   error
	}
	for name, tt := range map[string]struct {
		first string
		looks []look // the last one is there for ever
		shown []string
		in    bool
		warns string
	}{
		"renewed before":               {"old", []look{{"good", nil}}, []string{"good"}, true, ""},
		"renewed meanwhile":            {"old", []look{{"old", nil}, {"good", nil}}, []string{"old", "good"}, true, ""},
		"renewed, and wrong":           {"old", []look{{"old", nil}, {"bad", nil}, {"good", nil}}, []string{"old", "bad"}, false, ""},
		"not renewed":                  {"old", []look{{"old", nil}}, []string{"old"}, false, ""},
		"unreadable":                   {"good", []look{{"", sourceFails}}, []string{"good"}, true, "cannot be read"},
		"unreadable, then renewed":     {"old", []look{{"", sourceFails}, {"good", nil}}, []string{"old", "good"}, true, "cannot be read"},
		"cannot be looked at again":    {"good", []look{{"", nil}}, []string{"good"}, true, ""},
		"no token, but two lines":      {"good", []look{{"secret\r\nX-Evil: 1", nil}}, []string{"good"}, true, "is no token"},
		"no token, but a large thing":  {"good", []look{{strings.Repeat("x", maxTokenLen+1), nil}}, []string{"good"}, true, "is no token"},
		"no source":                    {"good", nil, []string{"good"}, true, ""},
		"no source, and a wrong token": {"old", nil, []string{"old"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var shown []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				mu.Lock()
				shown = append(shown, token)
				mu.Unlock()
				if token == "good" {
					w.WriteHeader(http.StatusServiceUnavailable) // and not for want of a token
				} else {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			defer srv.Close()
			at, err := url.Parse(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			cfg := &Config{Backend: at, Token: tt.first, Handler: echo, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			looked := 0
			if tt.looks != nil {
				cfg.TokenSource = func() (string, error) {
					l := tt.looks[min(looked, len(tt.looks)-1)]
					looked++
					return l.token, l.err
				}
			}
			_, err = cfg.Dial(t.Context(), Hello{})
			if err == nil || unauthorized(err) == tt.in {
				t.Errorf("Dial = %v", err)
			}
			if !slices.Equal(shown, tt.shown) {
				t.Errorf("shown were %q, want %q", shown, tt.shown)
			}
			if said := log.String(); (said == "") != (tt.warns == "") || !strings.Contains(said, tt.warns) ||
				strings.Contains(said, "secret") || strings.Contains(said, "xxxx") {
				t.Errorf("the log says %.300s", said)
			}
		})
	}
}

// TestEndOfAToken is for good if there is no other one, or the other was refused as well.
func TestEndOfAToken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		judged  string
		now     string
		err     error
		code    wire.ErrorCode
		forGood bool
		renewed bool
	}{
		"the same":             {"a", "a", nil, wire.CodeUnauthorized, true, false},
		"another":              {"a", "b", nil, wire.CodeUnauthorized, false, true},
		"another, refused":     {"b", "b", nil, wire.CodeUnauthorized, true, false},
		"being written":        {"a", "", errors.New("empty"), wire.CodeUnauthorized, false, false},
		"not about tokens":     {"a", "b", nil, wire.CodeNameTaken, true, true},
		"nothing to read more": {"a", "", nil, wire.CodeUnauthorized, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := &Config{Token: "a", TokenSource: func() (string, error) { return tt.now, tt.err }}
			cfg.tokens.judged = tt.judged
			l := &Link{cfg: cfg}
			var refusal *wire.Error
			err := l.ended(&wire.Error{Code: tt.code, Message: "the token has expired"})
			if errors.As(err, &refusal) != tt.forGood || !strings.Contains(err.Error(), "the token has expired") {
				t.Errorf("%v", err)
			}
			if l.Renewed() != tt.renewed {
				t.Errorf("renewed: %v", l.Renewed())
			}
		})
	}
}
