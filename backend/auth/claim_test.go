package auth

import (
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	key := "key:" + owner.Public()
	newer, older := tunnel.NewResumer([]byte(strings.Repeat("n", 32))), tunnel.NewResumer([]byte(strings.Repeat("o", 32)))
	checks := Checks{Challenge: "c", Hosts: []string{"ws.example.com"}, Resume: tunnel.Resumers{newer, older}, Advice: "dial the right one"}
	ann := Identity{Subject: "ann"}
	for _, c := range []struct {
		name     string
		identity Identity
		ready    wire.Ready
		want     tunnel.Claim
		refusal  wire.ErrorCode
	}{
		{name: "nobody", want: tunnel.Claim{}},
		{name: "a token", identity: ann, want: tunnel.Claim{Owner: "user:ann"}},
		{name: "a token counts before a key", identity: ann, ready: wire.Ready{Owner: owner.Public(), Proof: "nonsense"}, want: tunnel.Claim{Owner: "user:ann"}},
		{name: "a key", ready: wire.Ready{Owner: owner.Public(), Proof: owner.Sign("ws.example.com", "c")}, want: tunnel.Claim{Owner: key}},
		{name: "a key for another host", ready: wire.Ready{Owner: owner.Public(), Proof: owner.Sign("evil.example.com", "c")}, refusal: wire.CodeUnauthorized},
		{name: "an old proof", ready: wire.Ready{Owner: owner.Public(), Proof: owner.Sign("ws.example.com", "b")}, refusal: wire.CodeUnauthorized},
		{name: "a name", identity: ann, ready: wire.Ready{TunnelID: "shop", Instance: "i", Epoch: 4}, want: tunnel.Claim{ID: "shop", Owner: "user:ann", Instance: "i", Epoch: 4}},
		{name: "no name", identity: ann, ready: wire.Ready{TunnelID: "Shop"}, refusal: wire.CodeInvalidRequest},
		{name: "a long instance", ready: wire.Ready{Instance: strings.Repeat("i", MaxInstance+1)}, refusal: wire.CodeInvalidRequest},
		{name: "a name that the token allows", identity: Identity{Subject: "ann", Tunnels: []string{"shop"}}, ready: wire.Ready{TunnelID: "shop"}, want: tunnel.Claim{ID: "shop", Owner: "user:ann"}},
		{name: "one that it does not", identity: Identity{Subject: "ann", Tunnels: []string{"shop"}}, ready: wire.Ready{TunnelID: "blog"}, refusal: wire.CodeForbidden},
		{name: "the secret", identity: ann, ready: wire.Ready{TunnelID: "shop", Resume: newer.Secret("shop", "user:ann")}, want: tunnel.Claim{ID: "shop", Owner: "user:ann", Resumed: true}},
		{name: "the secret by the key before", identity: ann, ready: wire.Ready{TunnelID: "shop", Resume: older.Secret("shop", "user:ann")}, want: tunnel.Claim{ID: "shop", Owner: "user:ann", Resumed: true}},
		{name: "another's secret", identity: ann, ready: wire.Ready{TunnelID: "shop", Resume: newer.Secret("shop", "user:bob")}, want: tunnel.Claim{ID: "shop", Owner: "user:ann"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.identity.Claim(&c.ready, checks)
			var refusal *wire.Error
			if c.refusal != "" {
				if !errors.As(err, &refusal) || refusal.Code != c.refusal {
					t.Errorf("got %+v, %v; want a refusal with %s", got, err, c.refusal)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	_, err = Identity{}.Claim(&wire.Ready{Owner: owner.Public(), Proof: owner.Sign("evil.example.com", "c")}, checks)
	if err == nil || !strings.Contains(err.Error(), "dial the right one") {
		t.Errorf("%v does not say what to do", err)
	}
}

// While a secret is replaced, tokens by the one before still count.
func TestVerifyByTwoSecrets(t *testing.T) {
	t.Parallel()
	older, other := []byte(strings.Repeat("o", MinSecret)), []byte(strings.Repeat("x", MinSecret))
	v, err := NewSecretVerifier(secret, older)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"newer": secret, "older": older} {
		if got, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, key, jwt.MapClaims{"sub": "ann"})); err != nil || got.Subject != "ann" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, other, jwt.MapClaims{"sub": "ann"})); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("a third secret: %v", err)
	}
	if _, err := NewSecretVerifier(secret, []byte("short")); !errors.Is(err, ErrShortSecret) {
		t.Errorf("one short secret of two: %v", err)
	}
	if _, err := NewSecretVerifier(); !errors.Is(err, ErrShortSecret) {
		t.Errorf("no secret: %v", err)
	}
}
