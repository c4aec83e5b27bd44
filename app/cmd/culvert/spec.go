package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/forwarder"
	"culvert/app/link"
	"culvert/app/secret"
	"culvert/backend/tunnel"
)

// backendFlags say which backend is meant and who asks, for all commands that connect
// to one.
type backendFlags struct {
	Backend   string   `env:"CULVERT_BACKEND" placeholder:"URL" help:"Which backend: http(s)://HOST is a relay, ws(s)://HOST/STAGE a WebSocket API of API Gateway. Default: the profile named in the config file; where there is none, culvert http has a relay built in, which this machine alone can reach."`
	Token     string   `xor:"token" placeholder:"TOKEN" help:"Bearer token for the backend, also $$CULVERT_TOKEN. Other users of this machine can read command lines: better use --token-file."`
	TokenFile filePath `xor:"token" placeholder:"FILE" help:"Read the bearer token from this file."`
	CAFile    filePath `name:"ca-file" placeholder:"FILE" help:"Trust the certificates in this PEM file, too: the backend's and, where one is named, those of a local service."`
}

// warn says what others can see.
func (f *backendFlags) warn(log io.Writer) {
	if f.Token != "" {
		fmt.Fprintln(log, "culvert: notice: every user of this machine can read the token on the command line: use --token-file or $CULVERT_TOKEN")
	}
}

// access is a backend and what it takes to connect to it.
type access struct {
	backend *url.URL // nil: the relay that is built in
	token   string
	// tokenFile is where token comes from; "" if from no file.
	tokenFile string
	roots     *x509.CertPool
	// named says where the backend is named, to blame that; "" is the command line.
	named string
}

// resolve makes of flags, environment and config file the access that is meant, and
// notices about what may surprise. All its errors are the user's to mend.
func (f *backendFlags) resolve(dir *config.Dir, envToken string) (a access, notices []string, err error) {
	file, err := dir.Load()
	if err != nil {
		return a, nil, err
	}
	for _, key := range file.Unknown {
		notices = append(notices, fmt.Sprintf("%s: the key %q means nothing to this version: is it misspelt?", dir.ConfigFile(), key))
	}
	// where says who is to blame for which value.
	where := struct{ tokenFile, caFile string }{"--token-file", "--ca-file"}
	tokenFile, caFile := string(f.TokenFile), string(f.CAFile)
	if f.Backend != "" {
		if a.backend, err = url.Parse(f.Backend); err != nil {
			// Not repeated: there may be a password in it.
			return a, nil, errors.New("--backend is no URL: want one such as https://tunnel.example.com")
		}
		if relay := a.backend.Scheme == "http" || a.backend.Scheme == "https"; relay && a.backend.Query().Has("token") {
			return a, nil, errors.New("--backend: no token belongs into the address: put it into a file, and name that with --token-file")
		}
	} else if p, ok := file.Profiles[file.Profile]; ok {
		// A profile's token goes to that profile's backend and to no other.
		a.backend, a.named = p.Backend.URL, fmt.Sprintf("%s: profile %q", dir.ConfigFile(), file.Profile)
		if tokenFile == "" && f.Token == "" && envToken == "" {
			tokenFile, where.tokenFile = p.TokenFile, a.named
			if tokenFile == "" && p.Keychain {
				if envToken, err = keptToken(dir, file.Profile); err != nil {
					return a, nil, fmt.Errorf("%s: %w", a.named, err)
				}
			}
		}
		if caFile == "" {
			caFile, where.caFile = p.CAFile, a.named
		}
	}
	switch {
	case f.Token != "":
		a.token = f.Token
	case tokenFile != "":
		if a.token, err = config.ReadToken(tokenFile); err != nil {
			return a, nil, fmt.Errorf("%s: %w", where.tokenFile, err)
		}
		a.tokenFile = tokenFile
		if loose := config.LooseMode(tokenFile); loose != "" {
			notices = append(notices, loose)
		}
	default: // the environment's, or the kept one
		a.token = envToken
	}
	if caFile != "" {
		if a.roots, err = config.ReadRoots(caFile); err != nil {
			return a, nil, fmt.Errorf("%s: %w", where.caFile, err)
		}
	}
	if a.backend != nil {
		if err := link.ValidateBackend(a.backend, a.token); err != nil {
			return a, nil, blame(a.named, err)
		}
	}
	return a, notices, nil
}

// opened is an access with what commands that only ask something need beside it.
type opened struct {
	access
	dir   *config.Dir
	owner tunnel.OwnerKey
}

// open resolves the flags and tells the notices.
func (f *backendFlags) open(out *output) (o opened, err error) {
	if o.dir, err = config.Open(out.configDir); err != nil {
		return o, err
	}
	var notices []string
	if o.access, notices, err = f.resolve(o.dir, os.Getenv("CULVERT_TOKEN")); err != nil {
		return o, usageError{err}
	}
	f.warn(out.stderr)
	for _, notice := range notices {
		fmt.Fprintf(out.stderr, "culvert: notice: %s\n", notice)
	}
	o.owner, err = o.dir.OwnerKey()
	return o, err
}

// spec makes of flags, environment and config file what the engine is asked for, and
// notices about what may surprise. All its errors are the user's to mend.
func (c *httpCmd) spec(dir *config.Dir, envToken string) (spec engine.Spec, notices []string, err error) {
	a, notices, err := c.resolve(dir, envToken)
	if err != nil {
		return spec, nil, err
	}
	spec = engine.Spec{
		Target: c.Target, Name: c.Name, Timeout: time.Duration(c.Timeout),
		Backend: a.backend, Token: a.token, TokenFile: a.tokenFile, RootCAs: a.roots,
	}
	if spec.HostHeader, err = forwarder.ParseHostHeader(c.HostHeader); err != nil {
		return spec, nil, fmt.Errorf("--host-header: %w", err)
	}
	if err := spec.Validate(); err != nil {
		return spec, nil, blame(a.named, err)
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

// inFlags is a backend's refusal for who typed the command: it knows whether a token was
// shown, and what the flag is called.
func inFlags(err error, backend *url.URL, token string) error {
	shown := token != "" || backend != nil && backend.RawQuery != "" // a WebSocket API's may hold one
	if !shown && link.WantsToken(err) {
		return link.ErrWantsToken
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
