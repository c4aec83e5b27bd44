package keys

import (
	"errors"
	"strings"
	"testing"

	"culvert/backend/auth"
)

// The verifier of tokens is made anew when the secrets have changed, and only then: it
// may know more than the secrets, which is not to be lost.
func TestTokensVerifier(t *testing.T) {
	t.Parallel()
	v := fresh(nil, 1)
	p := new(parameters).set(v)
	s, c := source(t, p)
	var made []string
	s.cfg.Tokens = func(secrets ...[]byte) (*auth.Verifier, error) {
		var texts []string
		for _, secret := range secrets {
			texts = append(texts, string(secret))
		}
		made = append(made, strings.Join(texts, ","))
		return auth.NewSecretVerifier(secrets...)
	}
	first, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(lifetime)
	if again, err := s.Get(t.Context()); err != nil || again != first {
		t.Errorf("the same keys are another set: %v", err)
	}
	next := fresh(&v, 2)
	p.set(next)
	c.now = c.now.Add(lifetime)
	set, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range next.Tokens {
		if _, err := set.Tokens.Verify(t.Context(), token(t, secret)); err != nil {
			t.Error(err)
		}
	}
	if want := v.Tokens[0] + "|" + next.Tokens[0] + "," + v.Tokens[0]; strings.Join(made, "|") != want {
		t.Errorf("made %d times, of other secrets", len(made))
	}
}

// Without a verifier there are no keys, and the log says so without showing them.
func TestTokensVerifierThatCannotBeMade(t *testing.T) {
	t.Parallel()
	s, _ := source(t, new(parameters).set(fresh(nil, 1)))
	s.cfg.Tokens = func(...[]byte) (*auth.Verifier, error) { return nil, auth.ErrShortSecret }
	if _, err := s.Get(t.Context()); !errors.Is(err, ErrNone) || !errors.Is(err, auth.ErrShortSecret) {
		t.Errorf("got %v", err)
	}
}
