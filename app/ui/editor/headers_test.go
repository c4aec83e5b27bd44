package editor

import (
	"net/http"
	"testing"

	"culvert/app/exchange"

	"github.com/google/go-cmp/cmp"
)

func exchangeWith(path string, h http.Header) *exchange.Exchange {
	return &exchange.Exchange{ID: "1", Method: "POST", Path: path, Request: exchange.Message{Header: h}}
}

var withSecrets = http.Header{
	"Authorization":  {"Bearer abc.def.ghi"},
	"Cookie":         {"session=one", "session=two"},
	"Content-Type":   {"application/json"},
	"Content-Length": {"12"},
	"Connection":     {"close"},
}

func TestHeadersGoThereAndBack(t *testing.T) {
	t.Parallel()
	s := newSecrets(exchangeWith("/a?token=abcdef0123456789&b=c", withSecrets))
	if !s.any {
		t.Error("there are no secrets")
	}
	for _, show := range []bool{false, true} {
		text := s.headers(show)
		got, wrong := s.readHeaders(text)
		if wrong != nil {
			t.Fatalf("line %d of %q is wrong", wrong.line, text)
		}
		want := http.Header{"Authorization": withSecrets["Authorization"], "Cookie": withSecrets["Cookie"], "Content-Type": withSecrets["Content-Type"]}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("shown %v, read back (-want +got):\n%s", show, diff)
		}
		if path, ok := s.readPath(s.path(show)); !ok || path != "/a?token=abcdef0123456789&b=c" {
			t.Errorf("shown %v, the path is read back as %q, %v", show, path, ok)
		}
	}
	want := "Authorization: Bearer ••••••••\nContent-Type: application/json\nCookie: session=••••••••\nCookie: session=••••••••"
	if diff := cmp.Diff(want, s.headers(false)); diff != "" {
		t.Errorf("hidden (-want +got):\n%s", diff)
	}
	if path := s.path(false); path != "/a?token=••••••••&b=c" {
		t.Errorf("the path is shown as %q", path)
	}
	if path, ok := s.readPath("/other?token=••••••••"); !ok || path != "/other?token=abcdef0123456789" {
		t.Errorf("changed beside what is hidden, the path is read as %q, %v", path, ok)
	}
}

func TestReadHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       http.Header
		wrong      *lineError
	}{
		{"nothing", "", http.Header{}, nil},
		{"empty lines and spaces", "\n  a:  b \r\n\n", http.Header{"A": {"b"}}, nil},
		{"several values", "a: 1\nA: 2", http.Header{"A": {"1", "2"}}, nil},
		{"an empty value", "a:", http.Header{"A": {""}}, nil},
		{"a colon in the value", "a: http://b:1", http.Header{"A": {"http://b:1"}}, nil},
		{"a secret typed over", "Authorization: Bearer other", http.Header{"Authorization": {"Bearer other"}}, nil},
		{"one of two kept", "Cookie: session=••••••••", http.Header{"Cookie": {"session=one"}}, nil},
		{"no colon", "a: b\nnonsense", nil, &lineError{2, noColon, ""}},
		{"a space in the name", "a b: c", nil, &lineError{1, badName, "a b"}},
		{"a control character", "a: b\x01", nil, &lineError{1, badValue, "A"}},
		{"Host", "\nhost: x", nil, &lineError{2, ownField, "Host"}},
		{"a hidden value changed", "Authorization: Basic ••••••••", nil, &lineError{1, hidden, "Authorization"}},
		{"more hidden values than there are", "Authorization: Bearer ••••••••\nAuthorization: Bearer ••••••••", nil, &lineError{2, hidden, "Authorization"}},
		{"a hidden value under another name", "X: Bearer ••••••••", nil, &lineError{1, hidden, "X"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, wrong := newSecrets(exchangeWith("/", withSecrets)).readHeaders(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wrong, wrong, cmp.AllowUnexported(lineError{})); diff != "" {
				t.Errorf("wrong (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzReadHeaders wants what is taken to be fit for a request, without dots in it.
func FuzzReadHeaders(f *testing.F) {
	s := newSecrets(exchangeWith("/", withSecrets))
	f.Add(s.headers(false))
	f.Add("a: b\nnonsense")
	f.Fuzz(func(t *testing.T, text string) {
		h, wrong := s.readHeaders(text)
		if (h == nil) == (wrong == nil) {
			t.Fatal("neither headers nor what is wrong with them")
		}
		again, wrong := s.of("/", h).readHeaders(s.of("/", h).headers(true))
		if h != nil && (wrong != nil || !cmp.Equal(h, again)) {
			t.Fatalf("%v is written and read as %v, %v", h, again, wrong)
		}
	})
}
