package auth

import (
	"fmt"
	"strings"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// MaxInstance bounds the name of a session, in bytes.
const MaxInstance = 128

// Checks is what a backend checks an agent's wish for a tunnel by.
type Checks struct {
	// Challenge is what the agent had to sign with its owner key, and Hosts the names
	// of this backend for which the signature counts.
	Challenge string
	Hosts     []string
	// Resume verifies resume secrets.
	Resume interface {
		Verify(id, owner, secret string) bool
	}
	// Advice is told to an agent whose signature does not fit: what to do.
	Advice string
}

// Claim turns the agent's first message into a claim, once it is clear who the
// agent is: the bearer of a token, else the holder of an owner key, else nobody. The
// claim's ID is "" if the agent asks for none. A refusal is a *wire.Error.
func (i Identity) Claim(r *wire.Ready, c Checks) (tunnel.Claim, error) {
	if len(r.Instance) > MaxInstance {
		return tunnel.Claim{}, &wire.Error{Code: wire.CodeInvalidRequest, Message: "the session's name (instance) is too long"}
	}
	claim := tunnel.Claim{ID: r.TunnelID, Owner: i.Owner(), Instance: r.Instance, Epoch: r.Epoch}
	if claim.Owner == "" && r.Owner != "" {
		owner, err := VerifyKey(r.Owner, r.Proof, c)
		if err != nil {
			return tunnel.Claim{}, err
		}
		claim.Owner = owner
	}
	if claim.ID == "" {
		return claim, nil
	}
	if err := tunnel.ValidID(claim.ID); err != nil {
		return tunnel.Claim{}, &wire.Error{Code: wire.CodeInvalidRequest, Message: err.Error()}
	}
	if !i.Allows(claim.ID) {
		return tunnel.Claim{}, &wire.Error{Code: wire.CodeForbidden, Message: fmt.Sprintf("your token does not allow the tunnel name %q", claim.ID)}
	}
	claim.Resumed = r.Resume != "" && c.Resume.Verify(claim.ID, claim.Owner, r.Resume)
	return claim, nil
}

// The owners of tunnels are users, by their tokens, or else owner keys.
const (
	userPrefix = "user:"
	keyPrefix  = "key:"
)

// Owner is what tunnels of the bearer belong to, or "" without a token.
func (i Identity) Owner() string {
	if i.Subject == "" {
		return ""
	}
	return userPrefix + i.Subject
}

// UserID is what people call an owner: the subject of the user's tokens, or key: and
// the owner key. OwnerOf is the way back.
func UserID(owner string) string { return strings.TrimPrefix(owner, userPrefix) }

// OwnerOf is the owner whose UserID is given. No subject begins with key:.
func OwnerOf(userID string) string {
	if strings.HasPrefix(userID, keyPrefix) {
		return userID
	}
	return userPrefix + userID
}

// VerifyKey says who shows an owner key with a proof, for somebody who asks for no
// tunnel. A refusal is a *wire.Error.
func VerifyKey(owner, proof string, c Checks) (string, error) {
	if err := tunnel.VerifyOwner(owner, proof, c.Challenge, c.Hosts...); err != nil {
		return "", &wire.Error{Code: wire.CodeUnauthorized, Message: fmt.Sprintf("%v: %s", err, c.Advice)}
	}
	return keyPrefix + owner, nil
}
