package doctor

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/wire"
)

// TestTokenThatNobodyLookedAt: a refusal for another reason says nothing of the token.
func TestTokenThatNobodyLookedAt(t *testing.T) {
	t.Parallel()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "me", "exp": time.Now().Add(100 * 24 * time.Hour).Unix()}).SignedString([]byte("any"))
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[wire.ErrorCode]State{
		wire.CodeUnauthorized: Failed, wire.CodeForbidden: Failed,
		wire.CodeThrottled: Skipped, wire.CodeGoingAway: Skipped, wire.CodeInternal: Skipped, wire.CodeTimeout: Skipped,
		wire.CodeTooManyTunnels: OK, wire.CodeNameTaken: OK, // who has no token does not get so far
	} {
		e := examine(Backend{Token: token})
		e.met = &meeting{refusal: &wire.Error{Code: code, Message: "no"}}
		if got := e.token(t.Context()); got.State != want {
			t.Errorf("%s: %+v, want the state %d", code, got, want)
		}
		wantVersion := "the backend does not let this computer in"
		if want == OK {
			wantVersion = "not known: there was no tunnel left for the test"
		}
		if got := e.version(t.Context()); got.State != Skipped || got.Detail != wantVersion {
			t.Errorf("%s: %+v", code, got)
		}
	}
}
