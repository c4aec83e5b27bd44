package config

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
)

// readBounded reads a file that has no business being large.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// ReadToken reads a bearer token from a file of its own. Space around it does not count.
func ReadToken(path string) (string, error) {
	text, err := readBounded(path)
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	switch {
	case token == "":
		return "", fmt.Errorf("the token file %s is empty: put the token into it", path)
	case strings.ContainsAny(token, "\r\n"):
		return "", fmt.Errorf("the token file %s has more than one line: put nothing but the token into it", path)
	}
	return token, nil
}

// ReadRoots gives the system's trusted roots and those in a PEM file.
func ReadRoots(path string) (*x509.CertPool, error) {
	text, err := readBounded(path)
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
