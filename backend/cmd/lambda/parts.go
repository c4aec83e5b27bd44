package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"

	"culvert/backend/auth"
	"culvert/backend/lambda/agents"
	"culvert/backend/lambda/blob"
	"culvert/backend/lambda/host"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/notices"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/processor"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/lambda/visitors"
	"culvert/backend/lambda/waiter"
)

// parts are what the functions have in common.
type parts struct {
	cfg     *host.Config
	log     *slog.Logger
	clients *host.Clients
	metrics *host.Metrics
}

func (p *parts) shared() (s *store.Store, k *keys.Source, agents *post.Poster, err error) {
	names := store.Names{Tunnels: p.cfg.Tunnels, Connections: p.cfg.Connections, Answers: p.cfg.Answers, Users: p.cfg.Users}
	if s, err = store.New(store.Config{Client: p.clients.DynamoDB(), Names: names}); err != nil {
		return nil, nil, nil, err
	}
	tokens, err := p.tokens()
	if err != nil {
		return nil, nil, nil, err
	}
	parameters, err := p.ssm()
	if err != nil {
		return nil, nil, nil, err
	}
	if k, err = keys.New(keys.Config{Client: parameters, Name: p.cfg.KeysParameter, Tokens: tokens, Logger: p.log}); err != nil {
		return nil, nil, nil, err
	}
	agents, err = p.poster(p.cfg.AgentsAPI)
	return s, k, agents, err
}

func (p *parts) resource() (*keys.Resource, error) {
	parameters, err := p.ssm()
	if err != nil {
		return nil, err
	}
	return keys.NewResource(parameters, p.cfg.KeysParameter, p.log)
}

func (p *parts) ssm() (*keys.SSM, error) {
	return keys.NewSSM(keys.SSMConfig{Region: p.cfg.Region, Endpoint: text(p.cfg.SSMEndpoint), Credentials: p.clients.Credentials(), HTTP: p.clients.HTTP()})
}

// tokens makes what verifies tokens, of the secrets among the keys. What is known of an
// identity provider's keys is kept when they change.
func (p *parts) tokens() (func(secrets ...[]byte) (*auth.Verifier, error), error) {
	if p.cfg.Role != host.RoleAgents { // nobody shows one to the others
		return nil, nil
	}
	c := auth.Config{
		JWKS: p.cfg.JWKS, Audience: p.cfg.TokenAudience, Issuer: p.cfg.TokenIssuer, Transport: p.clients.HTTP().Transport, Logger: p.log,
	}
	if c.JWKS == "" {
		return func(secrets ...[]byte) (*auth.Verifier, error) {
			c := c
			c.Secrets = secrets
			return auth.New(c)
		}, nil
	}
	v, err := auth.New(c)
	if err != nil {
		return nil, fmt.Errorf("CULVERT_JWKS: %w", err)
	}
	for _, warning := range v.Warnings() {
		p.log.Warn("tokens of others", "cause", warning)
	}
	return v.WithSecrets, nil
}

func (p *parts) poster(api *url.URL) (*post.Poster, error) {
	return post.New(post.Config{Endpoint: api.String(), Region: p.cfg.Region, Credentials: p.clients.Credentials(), HTTP: p.clients.HTTP()})
}

func (p *parts) agents() (*agents.Agents, error) {
	s, k, poster, err := p.shared()
	if err != nil {
		return nil, err
	}
	c := agents.Config{
		Store: s, Poster: poster, Keys: k, Auth: agents.Auth(p.cfg.Auth), PublicURL: p.cfg.PublicURL.String(), SubdomainURL: text(p.cfg.SubdomainURL),
		StreamURL: text(p.cfg.StreamURL), Hosts: p.cfg.AgentHosts, Blob: p.cfg.Bucket != "", MaxTunnels: p.cfg.MaxTunnels,
		ConnectAuth: agents.ConnectAuth(p.cfg.ConnectAuth), Version: version, Logger: p.log, Count: p.metrics,
	}
	if p.cfg.Processor != "" {
		if c.Processor, err = processor.NewInvoker(processor.InvokerConfig{
			Function: p.cfg.Processor, Region: p.cfg.Region, Endpoint: text(p.cfg.LambdaEndpoint),
			Credentials: p.clients.Credentials(), HTTP: p.clients.Patient(),
		}); err != nil {
			return nil, err
		}
	}
	if p.cfg.WaitersAPI != nil {
		if c.Waiters, err = p.poster(p.cfg.WaitersAPI); err != nil {
			return nil, err
		}
	}
	return agents.New(c)
}

func (p *parts) notices() (*notices.Notices, error) {
	s, err := store.New(store.Config{Client: p.clients.DynamoDB(), Names: store.Names{Connections: p.cfg.Connections, Users: p.cfg.Users}})
	if err != nil {
		return nil, err
	}
	poster, err := p.poster(p.cfg.AgentsAPI)
	if err != nil {
		return nil, err
	}
	queue, err := notices.NewSQS(notices.SQSConfig{
		URL: p.cfg.NotifyConnectionURL.String(), Region: p.cfg.Region, Endpoint: text(p.cfg.SQSEndpoint),
		Credentials: p.clients.Credentials(), HTTP: p.clients.HTTP(),
	})
	if err != nil {
		return nil, err
	}
	return notices.New(notices.Config{
		Users: p.cfg.NotifyUserARN, Connections: p.cfg.NotifyConnectionARN, Store: s, Poster: poster, Queue: queue, Logger: p.log, Count: p.metrics,
	})
}

func (p *parts) visitors() (*visitors.Visitors, error) {
	s, k, poster, err := p.shared()
	if err != nil {
		return nil, err
	}
	w, err := waiter.New(waiter.Config{
		URL: text(p.cfg.WaitersURL), Region: p.cfg.Region, Credentials: p.clients.Credentials(), Counter: p.metrics, Log: p.log,
	})
	if err != nil {
		return nil, err
	}
	c := visitors.Config{
		Tunnels: s, Answers: s, Poster: poster, Limiter: s.NewLimiter(p.cfg.TunnelRPM), Waiter: w, SubdomainURL: p.cfg.SubdomainURL, Version: version,
		MaxWait: p.cfg.MaxWait, AccountConcurrency: p.cfg.AccountConcurrency, Reserved: p.cfg.Reserved, Metrics: p.metrics, Log: p.log,
		Keys: func(ctx context.Context) (*ticket.Keyring, error) {
			set, err := k.Get(ctx)
			if err != nil {
				return nil, err
			}
			return set.Tickets, nil
		},
	}
	if p.cfg.TunnelStreams > 0 {
		c.Slots = s.NewSlots(p.cfg.TunnelStreams)
	}
	if p.cfg.Bucket != "" {
		if c.Bodies, err = blob.New(blob.Config{
			Bucket: p.cfg.Bucket, Region: p.cfg.Region, Endpoint: text(p.cfg.S3Endpoint), Credentials: p.clients.Credentials(), HTTP: p.clients.HTTP(),
		}); err != nil {
			return nil, err
		}
	}
	return visitors.New(c)
}

func text(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}
