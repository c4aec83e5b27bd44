package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"culvert/backend/auth"
)

type tokenVerifyCmd struct {
	tokenInput
	SecretFile filePath `placeholder:"FILE" help:"Accept tokens signed with this secret (HS256)."`
	JWKS       jwksName `name:"jwks" placeholder:"FILE|URL" help:"Accept tokens signed with one of these public keys (JSON Web Key Set)."`
	Aud        string   `placeholder:"AUDIENCE" help:"Accept tokens for this audience only."`
	Iss        string   `placeholder:"ISSUER" help:"Accept tokens of this issuer only."`
	Revoked    filePath `placeholder:"FILE" help:"Refuse tokens that are in this revocation list."`
	JSON       bool     `name:"json" help:"Print one JSON object."`
}

// jwksName is a URL, or the name of a file.
type jwksName string

// UnmarshalText reads the flag.
func (j *jwksName) UnmarshalText(text []byte) error {
	if strings.Contains(string(text), "://") {
		*j = jwksName(text)
		return nil
	}
	return (*filePath)(j).UnmarshalText(text)
}

// Help is shown below the summary.
func (*tokenVerifyCmd) Help() string {
	return `Examples:

    culvert token verify --token-file token --secret-file secret
    culvert token verify --token-file token --jwks https://id.example.com/.well-known/jwks.json --aud culvert

Exit codes: 0 the token is valid, 1 it is not, or the keys cannot be had, 2 called wrongly.`
}

// Run checks a token.
func (c *tokenVerifyCmd) Run(out *output) error {
	cfg := auth.Config{JWKS: string(c.JWKS), Audience: c.Aud, Issuer: c.Iss, Logger: slog.New(slog.DiscardHandler)}
	if c.SecretFile == "" && c.JWKS == "" {
		return usageError{errors.New("what is the token to be checked with? Give --secret-file or --jwks, or both")}
	}
	if c.SecretFile != "" {
		secret, err := readSecret(out, c.SecretFile)
		if err != nil {
			return err
		}
		cfg.Secrets = append(cfg.Secrets, secret)
	}
	v, err := auth.New(cfg)
	if err != nil {
		return usageError{fmt.Errorf("--jwks: %w", err)}
	}
	var revoked *auth.Revocations
	if c.Revoked != "" {
		if revoked, err = auth.OpenRevocations(string(c.Revoked)); err != nil {
			return usageError{fmt.Errorf("--revoked: %w", err)}
		}
	}
	token, err := c.read(out)
	if err != nil {
		return err
	}
	for _, warning := range v.Warnings() {
		notice(out, warning)
	}
	ctx := context.Background() // fetches have a limit of their own
	i, err := v.Verify(ctx, token)
	if errors.Is(err, auth.ErrNoKeys) {
		if reason := v.Refresh(ctx); reason != nil {
			err = reason
		}
	}
	if err == nil && revoked != nil && revoked.Revoked(i) {
		err = auth.ErrRevoked
	}
	if c.JSON {
		answer := verdict{Valid: err == nil, User: i.Subject, ID: i.ID, Tunnels: i.Tunnels, Max: i.Max, Notify: i.Notify, IssuedAt: known(i.IssuedAt), Expires: known(i.Expires)}
		if err != nil {
			answer = verdict{Error: err.Error()}
		}
		if broken := json.NewEncoder(out.stdout).Encode(answer); broken != nil {
			return broken
		}
	}
	if err != nil || c.JSON {
		return err
	}
	return showIdentity(out.stdout, i, time.Now())
}

// verdict is what verify --json prints.
type verdict struct {
	Valid    bool       `json:"valid"`
	Error    string     `json:"error,omitempty"`
	User     string     `json:"user,omitempty"`
	ID       string     `json:"id,omitempty"`
	Tunnels  []string   `json:"tunnels,omitempty"`
	Max      int        `json:"max,omitempty"`
	Notify   bool       `json:"notify,omitempty"`
	IssuedAt *time.Time `json:"issued_at,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
}
