package control

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// backend is where a tunnel leads.
type backend struct {
	URL       *url.URL // nil: the built-in relay
	Token     string
	TokenFile string         // where Token was read; "" if in no file
	RootCAs   *x509.CertPool // nil: the system's
}

// backend is what a profile means now. A name that is a URL stands for itself: that is
// how tunnels are labelled whose backend was given by --backend.
func (c *Control) backend(ctx context.Context, name string) (backend, error) {
	if name == "" {
		return backend{}, nil
	}
	if strings.Contains(name, "://") {
		u, err := url.Parse(name)
		if err != nil {
			return backend{}, fmt.Errorf("the backend is no URL: write one such as https://tunnel.example.com")
		}
		return backend{URL: u}, nil
	}
	p, ok := c.Config().Profiles[name]
	if !ok {
		return backend{}, fmt.Errorf("there is no backend called %q any more: choose another one for this tunnel", name)
	}
	b := backend{URL: p.Backend.URL, TokenFile: p.TokenFile}
	var err error
	if b.Token, err = c.token(ctx, name, p); err != nil {
		return backend{}, fmt.Errorf("backend %q: %w", name, err)
	}
	if p.CAFile != "" {
		if b.RootCAs, err = config.ReadRoots(p.CAFile); err != nil {
			return backend{}, fmt.Errorf("backend %q: %w", name, err)
		}
	}
	return b, nil
}

// token is the profile's token, "" if it has none.
func (c *Control) token(ctx context.Context, name string, p config.Profile) (string, error) {
	if p.TokenFile != "" {
		return config.ReadToken(p.TokenFile)
	}
	if !p.Keychain {
		return "", nil
	}
	token, err := c.cfg.Secrets.Get(ctx, name)
	if err != nil {
		return "", err
	}
	return token, nil
}

// current is the profile that new tunnels use.
func (c *Control) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.override != nil {
		return c.override.String()
	}
	return c.chosen
}

// SetBackend changes where new tunnels lead, for as long as the program runs; those
// that are open stay where they are.
func (c *Control) SetBackend(u *url.URL) {
	c.mu.Lock()
	c.override = u
	c.mu.Unlock()
	c.show(c.engine.BuiltIn())
}

// Profiles are the names of all.
func (c *Control) Profiles() []string {
	return slices.Sorted(maps.Keys(c.Config().Profiles))
}

// ChooseProfile makes a profile the default for new tunnels.
func (c *Control) ChooseProfile(ctx context.Context, name string) error {
	if _, ok := c.Config().Profiles[name]; name != "" && !ok {
		return fmt.Errorf("there is no backend called %q any more", name)
	}
	c.mu.Lock()
	c.chosen, c.override = name, nil
	c.mu.Unlock()
	c.show(c.engine.BuiltIn())
	return c.Edit(ctx, func(f *config.Config) { f.Profile = name })
}

// show tells the window about the backend.
func (c *Control) show(b engine.BuiltIn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p, ok := c.Config().Profiles[c.chosen]; {
	case c.override != nil:
		c.store.SetBackend(model.Backend{Name: c.override.Redacted(), Local: model.Local(c.override.String())})
	case c.chosen != "":
		c.store.SetBackend(model.Backend{Name: c.chosen, Profile: c.chosen, Local: ok && model.Local(p.Backend.String())})
	default:
		shown := model.Backend{Name: words.T("Built-in relay"), BuiltIn: true, LAN: c.lan}
		if b.Running {
			shown.LAN = b.LAN
		}
		c.store.SetBackend(shown)
	}
}

// AllowLAN lets other devices on the network reach the built-in relay, or not.
func (c *Control) AllowLAN(ctx context.Context, allow bool) error {
	err := c.engine.AllowLAN(ctx, allow)
	if err == nil {
		c.mu.Lock()
		c.lan = allow
		c.mu.Unlock()
	}
	c.show(c.engine.BuiltIn())
	return err
}
