package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"culvert/app/config"
	"culvert/backend/auth"
	"culvert/backend/relay"
)

// wantsTokens reports whether agents need a token.
func (c *relayCmd) wantsTokens() bool { return c.JWTSecretFile != "" || c.JWKS != "" }

// planTokens is the part of plan about tokens.
func (c *relayCmd) planTokens(p *relayPlan, log *slog.Logger) error {
	if !c.wantsTokens() {
		flag := ""
		switch {
		case c.Audience != "":
			flag = "--audience"
		case c.Issuer != "":
			flag = "--issuer"
		case c.Revoked != "":
			flag = "--revoked"
		case c.ConnectAuth == string(relay.AuthDeferred):
			flag = "--connect-auth=deferred"
		default:
			return nil
		}
		return fmt.Errorf("%s is about tokens, and this relay would take none: give --jwt-secret-file or --jwks, too", flag)
	}
	if c.Open {
		return errors.New("--open lets everybody in, --jwt-secret-file and --jwks only those with a token: leave one of them out")
	}
	cfg := auth.Config{JWKS: string(c.JWKS), Audience: c.Audience, Issuer: c.Issuer, Logger: log}
	if c.JWTSecretFile != "" {
		secret, err := loadSecret(c.JWTSecretFile)
		if err != nil {
			return fmt.Errorf("--jwt-secret-file: %w", err)
		}
		cfg.Secrets = [][]byte{secret}
		p.warn(config.LooseMode(string(c.JWTSecretFile)))
	}
	var err error
	if p.verifier, err = auth.New(cfg); err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	for _, warning := range p.verifier.Warnings() {
		p.warn(warning + " with --audience")
	}
	p.config.Authenticate, p.config.ConnectAuth = p.verifier.Verify, relay.ConnectAuth(c.ConnectAuth)
	if c.Revoked != "" {
		list, err := auth.OpenRevocations(string(c.Revoked))
		if err != nil {
			return fmt.Errorf("--revoked: %w", err)
		}
		list.Logger = log
		p.config.Revoked = list.Revoked
	}
	return nil
}

// fetchKeys fetches the public keys before the first agent needs them, so that what is
// wrong with them stands in the log at once. The function that it gives ends that.
func (p *relayPlan) fetchKeys() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if p.verifier != nil {
			_ = p.verifier.Refresh(ctx) // which logs it
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
