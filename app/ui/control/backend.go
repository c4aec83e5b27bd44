package control

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/engine"
	"culvert/app/link"
	"culvert/app/secret"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
	"culvert/app/version"
)

// backend is where a tunnel leads.
type backend struct {
	URL     *url.URL // nil: the built-in relay
	Token   string
	RootCAs *x509.CertPool // nil: the system's
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
	b := backend{URL: p.Backend.URL}
	var err error
	if b.Token, err = c.token(ctx, name, p); err != nil {
		return backend{}, fmt.Errorf("backend %q: %w", name, err)
	}
	if p.CAFile != "" {
		if b.RootCAs, err = roots(p.CAFile); err != nil {
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

// profile reads what a person has entered.
func profile(p model.Profile) (config.Profile, error) {
	if strings.TrimSpace(p.Name) == "" {
		return config.Profile{}, errors.New("the backend has no name: give it one, such as \"work\"")
	}
	if strings.Contains(p.Name, "://") {
		return config.Profile{}, errors.New("the name looks like a URL: choose a short one, such as \"work\"")
	}
	u, err := url.Parse(strings.TrimSpace(p.Backend))
	if err != nil {
		return config.Profile{}, errors.New("the backend is no URL: write one such as https://tunnel.example.com")
	}
	if err := link.ValidateBackend(u, p.Token); err != nil {
		return config.Profile{}, err
	}
	return config.Profile{Backend: config.Address{URL: u}, TokenFile: p.TokenFile, CAFile: p.CAFile}, nil
}

// SaveProfile changes a profile, or adds one. The token goes to the keychain first: a
// profile that is there without its token would be refused.
func (c *Control) SaveProfile(ctx context.Context, old string, p model.Profile) error {
	p.Name = strings.TrimSpace(p.Name)
	next, err := profile(p)
	if err != nil {
		return err
	}
	if _, taken := c.Config().Profiles[p.Name]; taken && p.Name != old {
		return fmt.Errorf("there is a backend called %q already: choose another name", p.Name)
	}
	before := c.Config().Profiles[old]
	if err := c.keepToken(ctx, old, before, p, &next); err != nil {
		return err
	}
	err = c.Edit(ctx, func(f *config.Config) {
		if f.Profiles == nil {
			f.Profiles = map[string]config.Profile{}
		}
		if old != "" && old != p.Name {
			delete(f.Profiles, old)
			for i := range f.Tunnels {
				if f.Tunnels[i].Profile == old {
					f.Tunnels[i].Profile = p.Name
				}
			}
		}
		if f.Profile == old && old != "" {
			f.Profile = p.Name
		}
		f.Profiles[p.Name] = next
	})
	if err != nil {
		return err
	}
	if old != "" && old != p.Name {
		c.renamed(old, p.Name)
		if before.Keychain {
			if err := c.cfg.Secrets.Delete(ctx, old); err != nil {
				c.cfg.Logger.Warn("the token of a profile that was renamed is still kept", "profile", old, "error", err)
			}
		}
	}
	return c.reconnect(ctx, p.Name)
}

// keepToken puts the profile's token where it is to be kept, and notes that in next.
func (c *Control) keepToken(ctx context.Context, old string, before config.Profile, p model.Profile, next *config.Profile) error {
	switch {
	case p.TokenFile != "":
		return nil
	case p.Token != "":
		if _, err := c.cfg.Secrets.Set(ctx, p.Name, p.Token); err != nil {
			return fmt.Errorf("the token could not be kept: %w", err)
		}
		next.Keychain = true
	case p.RemoveToken:
		if before.Keychain {
			return c.cfg.Secrets.Delete(ctx, old)
		}
	case before.Keychain:
		next.Keychain = true
		if old == p.Name {
			return nil
		}
		token, err := c.cfg.Secrets.Get(ctx, old)
		if err != nil {
			return fmt.Errorf("the token could not be moved to the new name: %w", err)
		}
		if _, err := c.cfg.Secrets.Set(ctx, p.Name, token); err != nil {
			return fmt.Errorf("the token could not be moved to the new name: %w", err)
		}
	}
	return nil
}

// renamed follows a profile's new name in what is remembered of open tunnels.
func (c *Control) renamed(old, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.chosen == old {
		c.chosen = name
	}
	for _, k := range c.cards {
		if k.wish.Profile == old {
			k.wish.Profile = name
		}
		if k.kept != nil && k.kept.Profile == old {
			k.kept.Profile = name
		}
	}
}

// reconnect brings what a profile means now to its tunnels; those that are stopped
// stay so.
func (c *Control) reconnect(ctx context.Context, name string) error {
	b, err := c.backend(ctx, name)
	if err != nil {
		return err
	}
	c.show(c.engine.BuiltIn())
	for _, t := range c.engine.Tunnels() {
		w, known := c.Wish(t.Key())
		if !known || w.Profile != name {
			continue
		}
		if err := c.engine.Edit(t.Key(), c.specWith(b, t.Spec().Target, w)); err != nil {
			return fmt.Errorf("%s: %w", title(t), err)
		}
	}
	return nil
}

// RemoveProfile forgets a profile and its token. Tunnels that use it must go first:
// they would lead nowhere.
func (c *Control) RemoveProfile(ctx context.Context, name string) error {
	for _, t := range c.engine.Tunnels() {
		if w, known := c.Wish(t.Key()); known && w.Profile == name {
			return fmt.Errorf("the tunnel %s uses this backend: remove the tunnel, or give it another backend first", title(t))
		}
	}
	kept := c.Config().Profiles[name].Keychain
	err := c.Edit(ctx, func(f *config.Config) {
		delete(f.Profiles, name)
		if f.Profile == name {
			f.Profile = ""
		}
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.chosen == name {
		c.chosen = ""
	}
	c.mu.Unlock()
	c.show(c.engine.BuiltIn())
	if kept {
		if err := c.cfg.Secrets.Delete(ctx, name); err != nil && !errors.Is(err, secret.ErrNotFound) {
			return fmt.Errorf("the backend was removed, but its token is still kept: %w", err)
		}
	}
	return nil
}

// TestProfile checks a profile as it is entered.
func (c *Control) TestProfile(ctx context.Context, old string, p model.Profile, report func(doctor.Check)) error {
	next, err := profile(p)
	if err != nil {
		return err
	}
	b := doctor.Backend{URL: next.Backend.URL, Token: p.Token, Agent: version.Agent()}
	if before := c.Config().Profiles[old]; p.Token == "" && !p.RemoveToken {
		next.Keychain = before.Keychain && p.TokenFile == ""
		if b.Token, err = c.token(ctx, old, next); err != nil {
			return err
		}
	}
	if p.CAFile != "" {
		if b.RootCAs, err = roots(p.CAFile); err != nil {
			return err
		}
	}
	if b.Owner, err = c.cfg.Dir.OwnerKey(); err != nil {
		return err
	}
	doctor.Run(ctx, b, report)
	return ctx.Err()
}
