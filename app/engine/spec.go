package engine

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"culvert/app/forwarder"
	"culvert/app/link"
	"culvert/app/target"
	"culvert/backend/tunnel"
)

// Spec is what a person asks for. Only Target is required.
type Spec struct {
	// Target is the local service.
	Target target.Target
	// Name is the wanted tunnel ID; "" lets the backend choose.
	Name string
	// LastID is the tunnel ID that the backend chose another time. Without a Name it is
	// asked for again; if it is not to be had, the backend chooses.
	LastID string
	// Backend is a relay (http, https) or a WebSocket API (ws, wss); nil is the
	// relay that is built into this process.
	Backend *url.URL
	// Profile is what the person calls Backend; "" if it has no name. Only a label.
	Profile string
	// Token is the bearer token for Backend; "" for none. Never logged.
	Token string
	// TokenFile is where Token was read; "" if in no file. It is read again for every
	// connection, so that the tunnel outlives a token that is renewed there.
	TokenFile string
	// HostHeader is what the local service sees as Host; "" is forwarder.HostLocal.
	HostHeader forwarder.HostHeader
	// Timeout is how long the local service may take to begin its answer;
	// 0 is forwarder.DefaultTimeout. A WebSocket API waits for at most 27 s.
	Timeout time.Duration
	// RootCAs are the trusted roots, for the backend and for https targets; nil is the system's.
	RootCAs *x509.CertPool
}

// MaxGatewayTimeout bounds Spec.Timeout on a WebSocket API: it leaves time for the
// way within API Gateway's 29 s.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
const MaxGatewayTimeout = 27 * time.Second

// Validate says what is wrong with the wish, in words for the person who made it.
func (s *Spec) Validate() error {
	if s.Target == (target.Target{}) {
		return fmt.Errorf("no target: name the local service, such as 3000")
	}
	if s.Target.IsFolder() && !filepath.IsAbs(s.Target.Folder) {
		return fmt.Errorf("the folder %s: write its whole path", s.Target.Folder)
	}
	if s.Name != "" {
		if err := tunnel.ValidID(s.Name); err != nil {
			return fmt.Errorf("name %q: %w", s.Name, err)
		}
	}
	if s.HostHeader != "" {
		if _, err := forwarder.ParseHostHeader(string(s.HostHeader)); err != nil {
			return err
		}
	}
	if s.Timeout < 0 {
		return fmt.Errorf("timeout %v: it must be longer than nothing, such as 30s", s.Timeout)
	}
	if s.Backend != nil {
		return link.ValidateBackend(s.Backend, s.Token)
	}
	return nil
}

// Title is what a person calls the tunnel.
func (s *Spec) Title() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Target.Short()
}

// BuiltIn reports whether the tunnel leads through the built-in relay.
func (s *Spec) BuiltIn() bool { return s.Backend == nil }

// gateway reports whether API Gateway's limits hold.
func (s *Spec) gateway() bool {
	return s.Backend != nil && (s.Backend.Scheme == "ws" || s.Backend.Scheme == "wss")
}

func (s *Spec) timeout() time.Duration {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = forwarder.DefaultTimeout
	}
	if s.gateway() {
		timeout = min(timeout, MaxGatewayTimeout)
	}
	return timeout
}
