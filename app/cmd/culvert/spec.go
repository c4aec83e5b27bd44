package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/forwarder"
	"culvert/app/secret"
)

// spec makes of flags, environment and config file what the engine is asked for,
// and notices about what may surprise. All its errors are the user's to mend.
func (c *httpCmd) spec(dir *config.Dir, envToken string) (spec engine.Spec, notices []string, err error) {
	file, err := dir.Load()
	if err != nil {
		return spec, nil, err
	}
	for _, key := range file.Unknown {
		notices = append(notices, fmt.Sprintf("%s: the key %q means nothing to this version: is it misspelt?", dir.ConfigFile(), key))
	}
	spec = engine.Spec{Target: c.Target, Name: c.Name, Timeout: time.Duration(c.Timeout)}
	if spec.HostHeader, err = forwarder.ParseHostHeader(c.HostHeader); err != nil {
		return spec, nil, fmt.Errorf("--host-header: %w", err)
	}
	// where says who is to blame for which value.
	where := struct{ backend, tokenFile, caFile string }{"", "--token-file", "--ca-file"}
	tokenFile, caFile := string(c.TokenFile), string(c.CAFile)
	if c.Backend != "" {
		if spec.Backend, err = url.Parse(c.Backend); err != nil {
			// Not repeated: there may be a password in it.
			return spec, nil, errors.New("--backend is no URL: want one such as https://tunnel.example.com")
		}
	} else if p, ok := file.Profiles[file.Profile]; ok {
		// A profile's token goes to that profile's backend and to no other.
		spec.Backend, where.backend = p.Backend.URL, fmt.Sprintf("%s: profile %q", dir.ConfigFile(), file.Profile)
		if tokenFile == "" && c.Token == "" && envToken == "" {
			tokenFile, where.tokenFile = p.TokenFile, where.backend
			if tokenFile == "" && p.Keychain {
				if envToken, err = keptToken(dir, file.Profile); err != nil {
					return spec, nil, fmt.Errorf("%s: %w", where.backend, err)
				}
			}
		}
		if caFile == "" {
			caFile, where.caFile = p.CAFile, where.backend
		}
	}
	switch {
	case c.Token != "":
		spec.Token = c.Token
	case tokenFile != "":
		if spec.Token, err = config.ReadToken(tokenFile); err != nil {
			return spec, nil, fmt.Errorf("%s: %w", where.tokenFile, err)
		}
		if loose := config.LooseMode(tokenFile); loose != "" {
			notices = append(notices, loose)
		}
	default: // the environment's, or the kept one
		spec.Token = envToken
	}
	if caFile != "" {
		if spec.RootCAs, err = config.ReadRoots(caFile); err != nil {
			return spec, nil, fmt.Errorf("%s: %w", where.caFile, err)
		}
	}
	if err := spec.Validate(); err != nil {
		return spec, nil, blame(where.backend, err)
	}
	return spec, append(notices, c.surprises(&spec)...), nil
}

// keptToken is the token that the desktop application has put into the keychain, or
// into a file of its own where there is none.
func keptToken(dir *config.Dir, profile string) (string, error) {
	store := secret.New(secret.Config{Folder: filepath.Join(dir.Path(), "tokens")})
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		_ = store.Close(ctx) // what hangs in there ends with the program
	}()
	return store.Get(context.Background(), profile) // the store has its own limit
}

// blame names the profile, or the flag: what is wrong with a backend begins with
// that word.
func blame(profile string, err error) error {
	switch {
	case profile != "":
		return fmt.Errorf("%s: %w", profile, err)
	case strings.HasPrefix(err.Error(), "backend "):
		return fmt.Errorf("--%w", err)
	}
	return err
}

func (c *httpCmd) surprises(spec *engine.Spec) (notices []string) {
	if dir := spec.Target.Folder; dir != "" && (spec.Target.Short() == "~" || filepath.Dir(dir) == dir) {
		notices = append(notices, fmt.Sprintf("whoever has the URL can read everything in %s but what begins with a dot", dir))
	}
	if spec.BuiltIn() {
		notices = append(notices, "no backend is named, so the URL works on this machine only: name a relay with --backend")
		if spec.Token != "" {
			notices = append(notices, "the token is not used: the built-in relay needs none")
		}
		return notices
	}
	gateway := spec.Backend.Scheme == "ws" || spec.Backend.Scheme == "wss"
	if gateway && spec.Timeout > engine.MaxGatewayTimeout && spec.Timeout != forwarder.DefaultTimeout {
		notices = append(notices, fmt.Sprintf("the timeout is %v: API Gateway gives up soon after that", engine.MaxGatewayTimeout))
	}
	return notices
}
