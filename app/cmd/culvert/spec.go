package main

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"time"

	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/forwarder"
)

// spec makes of flags, environment and config file what the engine is asked for,
// and notices about what may surprise. All its errors are the user's to mend.
func (c *httpCmd) spec(dir *config.Dir, envToken string) (spec engine.Spec, notices []string, err error) {
	file, err := dir.Load()
	if err != nil {
		return spec, nil, err
	}
	spec = engine.Spec{Target: c.Target, Name: c.Name, Timeout: c.Timeout}
	if spec.HostHeader, err = forwarder.ParseHostHeader(c.HostHeader); err != nil {
		return spec, nil, fmt.Errorf("--host-header: %w", err)
	}
	tokenFile, caFile, where := c.TokenFile, c.CAFile, "--backend"
	if c.Backend != "" {
		if spec.Backend, err = url.Parse(c.Backend); err != nil {
			return spec, nil, fmt.Errorf("--backend=%q is no URL: want one such as https://tunnel.example.com", c.Backend)
		}
	} else if p, ok := file.Profiles[file.Profile]; ok {
		// A profile's token goes to that profile's backend and to no other.
		spec.Backend, where = p.Backend.URL, fmt.Sprintf("%s: profile %q", dir.ConfigFile(), file.Profile)
		if tokenFile == "" && c.Token == "" && envToken == "" {
			tokenFile = p.TokenFile
		}
		if caFile == "" {
			caFile = p.CAFile
		}
	}
	switch {
	case c.Token != "":
		spec.Token = c.Token
	case tokenFile != "":
		if spec.Token, err = config.ReadToken(tokenFile); err != nil {
			return spec, nil, err
		}
	default:
		spec.Token = envToken
	}
	if caFile != "" {
		if spec.RootCAs, err = loadRoots(caFile); err != nil {
			return spec, nil, err
		}
	}
	if err := spec.Validate(); err != nil {
		return spec, nil, fmt.Errorf("%s: %w", where, err)
	}
	return spec, c.surprises(&spec), nil
}

const maxGatewayTimeout = 27 * time.Second

func (c *httpCmd) surprises(spec *engine.Spec) (notices []string) {
	if spec.BuiltIn() {
		notices = append(notices, "no backend is named, so the URL works on this machine only: name a relay with --backend")
		if spec.Token != "" {
			notices = append(notices, "the token is not used: the built-in relay needs none")
		}
		return notices
	}
	gateway := spec.Backend.Scheme == "ws" || spec.Backend.Scheme == "wss"
	if gateway && spec.Timeout > maxGatewayTimeout && spec.Timeout != forwarder.DefaultTimeout {
		notices = append(notices, fmt.Sprintf("the timeout is %v: API Gateway gives up soon after that", maxGatewayTimeout))
	}
	return notices
}

// loadRoots are the system's trusted roots and those in a file.
func loadRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the file with certificates: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without any
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in PEM form in it", path)
	}
	return roots, nil
}
