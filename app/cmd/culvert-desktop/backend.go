package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"culvert/app/config"
	"culvert/app/ui/control"
)

// chooseBackend is where new tunnels lead: --backend, else the configured profile,
// else the built-in relay. What is wrong with the config file is no reason not to
// start: it is the text of the returned notice, and the file is left alone.
func chooseBackend(dir *config.Dir, flag *url.URL) (b control.Backend, notice string) {
	if flag != nil {
		return control.Backend{URL: flag}, ""
	}
	b, err := configured(dir)
	if err != nil {
		return control.Backend{}, fmt.Sprintf("The configuration cannot be used: %v. Culvert runs on defaults, with the built-in relay; the file is untouched. Correct it and start Culvert again.", err)
	}
	return b, ""
}

func configured(dir *config.Dir) (control.Backend, error) {
	cfg, err := dir.Load()
	if err != nil || cfg.Profile == "" {
		return control.Backend{}, err
	}
	profile := cfg.Profiles[cfg.Profile]
	b := control.Backend{URL: profile.Backend.URL}
	if profile.TokenFile != "" {
		if b.Token, err = config.ReadToken(profile.TokenFile); err != nil {
			return control.Backend{}, err
		}
	}
	if profile.CAFile != "" {
		if b.RootCAs, err = roots(profile.CAFile); err != nil {
			return control.Backend{}, err
		}
	}
	return b, nil
}

// roots are the system's trust roots and those of the file.
func roots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the extra trust roots: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("there is no certificate in " + path + ": it must hold PEM blocks")
	}
	return pool, nil
}
