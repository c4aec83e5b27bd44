package control

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/link"
	"culvert/app/secret"
	"culvert/app/ui/model"
	"culvert/app/version"
)

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

// SaveProfile changes a profile, or adds one. A token goes to the keychain first, as a
// profile that is there without its token would be refused; what is not needed there any
// more leaves it last.
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
	undo, err := c.keepToken(ctx, old, before, p, &next)
	if err != nil {
		return err
	}
	err = c.edit(func(f *config.Config) {
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
		undo()
		return err
	}
	if old != "" && old != p.Name {
		c.renamed(old, p.Name)
	}
	var left error
	if before.Keychain && (!next.Keychain || old != p.Name) {
		if err := c.cfg.Secrets.Delete(ctx, old); err != nil && !errors.Is(err, secret.ErrNotFound) {
			left = fmt.Errorf("the backend was changed, but its former token is still kept: %w", err)
		}
	}
	return errors.Join(c.reconnect(ctx, p.Name), left)
}

// keepToken puts the profile's token where it is to be kept, and notes that in next.
// undo makes the keychain what it was, as far as that is known.
func (c *Control) keepToken(ctx context.Context, old string, before config.Profile, p model.Profile, next *config.Profile) (undo func(), err error) {
	undo = func() {}
	token := p.Token
	switch {
	case p.TokenFile != "":
		return undo, nil
	case token != "":
	case !before.Keychain || p.RemoveToken:
		return undo, nil
	case old == p.Name:
		next.Keychain = true // and stays as it is
		return undo, nil
	default:
		if token, err = c.cfg.Secrets.Get(ctx, old); err != nil {
			return undo, fmt.Errorf("the token could not be moved to the new name: %w", err)
		}
	}
	former, missing := "", error(secret.ErrNotFound)
	if before.Keychain && old == p.Name {
		former, missing = c.cfg.Secrets.Get(ctx, old)
	}
	if _, err := c.cfg.Secrets.Set(ctx, p.Name, token); err != nil {
		return undo, fmt.Errorf("the token could not be kept: %w", err)
	}
	next.Keychain = true
	return func() {
		// Whoever asked may not wait any more, but this must not be left half done.
		ctx := context.WithoutCancel(ctx)
		var err error
		switch {
		case missing == nil:
			_, err = c.cfg.Secrets.Set(ctx, p.Name, former)
		case errors.Is(missing, secret.ErrNotFound):
			err = c.cfg.Secrets.Delete(ctx, p.Name)
		}
		if err != nil {
			c.cfg.Logger.Warn("the token of a profile that was not saved is still kept", "profile", p.Name, "error", err)
		}
	}, nil
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
	err := c.edit(func(f *config.Config) {
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
	// Also one that the profile did not name lately: it belongs to nobody now.
	switch err := c.cfg.Secrets.Delete(ctx, name); {
	case err == nil || errors.Is(err, secret.ErrNotFound):
	case kept:
		return fmt.Errorf("the backend was removed, but its token is still kept: %w", err)
	default:
		c.cfg.Logger.Warn("whether a token of a removed profile is still kept is not known", "profile", name, "error", err)
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
		if b.RootCAs, err = config.ReadRoots(p.CAFile); err != nil {
			return err
		}
	}
	if b.Owner, err = c.cfg.Dir.OwnerKey(); err != nil {
		return err
	}
	doctor.Run(ctx, b, report)
	return ctx.Err()
}
