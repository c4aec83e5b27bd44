package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reloadEvery is how often at most the certificate's file is looked at.
const reloadEvery = 10 * time.Second

// certificate is read again when its file changes: whoever renews it need not
// restart the relay. One that cannot be read leaves the one before in place.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time // modification time of certFile when pair was read
	looked  time.Time
}

func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load needs mu, or to be alone.
func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("reading the certificate and its key: %w", err)
	}
	c.pair, c.changed, c.looked = &pair, info.ModTime(), time.Now()
	return nil
}

// get is the certificate of this moment.
func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < reloadEvery {
		return c.pair
	}
	c.looked = time.Now()
	if info, err := os.Stat(c.certFile); err != nil || info.ModTime().Equal(c.changed) {
		return c.pair
	}
	if err := c.load(); err != nil {
		c.log.Error("the certificate has changed, but cannot be used; the old one stays", "error", err)
	}
	return c.pair
}
