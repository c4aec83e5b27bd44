package control

import (
	"context"
	"fmt"
	"slices"

	"culvert/app/config"
	"culvert/app/target"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// This file keeps the tunnels that were opened in the window in the config file, an
// entry each. Entries are found again by what stands in them: a person may have
// changed the file meanwhile, and then their word holds.

// Restore makes cards of the tunnels in the config file, in its order. It starts none:
// that may have to wait for the keychain.
func (c *Control) Restore() {
	for _, entry := range c.Config().Tunnels {
		if err := c.restoreOne(entry); err != nil {
			c.store.AddNotice(words.T("The tunnel to %s could not be brought back.", entry.Target) + " " + model.Sentence(err.Error()))
		}
	}
}

// startRestored starts those that are to be open from the start on.
func (c *Control) startRestored(ctx context.Context) {
	for _, t := range c.engine.Tunnels() {
		if w, known := c.Wish(t.Key()); !known || !w.Start || running(t) {
			continue
		}
		if err := c.Start(ctx, t.Key()); err != nil {
			c.store.AddNotice(title(t) + ": " + words.T("The tunnel was not started.") + " " + model.Sentence(err.Error()))
		}
	}
}

func (c *Control) restoreOne(entry config.Tunnel) error {
	to, err := target.Remembered(entry.Target)
	if err != nil {
		return err
	}
	w := model.Wish{
		Target: written(to), Name: entry.Name, Profile: entry.Profile, HostHeader: entry.HostHeader,
		Timeout: duration(entry.Timeout), Start: entry.Start,
	}
	// Without its token: that is asked for when the tunnel is started, since the
	// keychain may have to be unlocked for it.
	p, ok := c.Config().Profiles[entry.Profile]
	if entry.Profile != "" && !ok {
		return fmt.Errorf("there is no backend called %q: correct the tunnel in %s", entry.Profile, c.cfg.Dir.ConfigFile())
	}
	spec := c.specWith(backend{URL: p.Backend.URL}, to, w)
	spec.LastID = entry.ID
	t, err := c.engine.OpenStopped(spec)
	if err != nil {
		return err
	}
	c.put(t, &card{wish: w, kept: &entry})
	c.store.PutTunnel(c.shown(t, t.Status()))
	return nil
}

// entry is a wish as it is written down, or nil if that cannot be: a backend that was
// only given at the command line is no one's profile.
func (c *Control) entry(w model.Wish) *config.Tunnel {
	if _, ok := c.Config().Profiles[w.Profile]; w.Profile != "" && !ok {
		return nil
	}
	return &config.Tunnel{
		Target: w.Target, Name: w.Name, Profile: w.Profile, HostHeader: w.HostHeader,
		Timeout: config.Duration(w.Timeout), Start: w.Start,
	}
}

// remember writes down what a tunnel is now. That it could not is told in the window:
// the tunnel itself is as it was wished.
func (c *Control) remember(key string) {
	c.remembering.Lock()
	defer c.remembering.Unlock()
	c.mu.Lock()
	k := c.cards[key]
	var wish model.Wish
	if k != nil {
		wish = k.wish
	}
	c.mu.Unlock()
	if k == nil {
		return
	}
	next := c.entry(wish)
	if next == nil {
		return
	}
	next.ID = c.lastID(key, k)
	err := c.edit(func(f *config.Config) {
		if i := c.place(f, k); i >= 0 {
			f.Tunnels[i] = *next
		} else {
			f.Tunnels = append(f.Tunnels, *next)
		}
	})
	if err != nil {
		c.store.AddNotice(words.T("The tunnel works, but it will not be remembered.") + " " + model.Sentence(err.Error()))
		return
	}
	c.mu.Lock()
	k.kept = next
	c.mu.Unlock()
	c.store.ChangeTunnel(key, func(t *model.Tunnel) { t.Remembered = true })
	if c.lastID(key, k) != next.ID { // it came online meanwhile
		select {
		case c.online <- struct{}{}:
		default:
		}
	}
}

// place is where a card's entry stands in the file, or -1.
func (c *Control) place(f *config.Config, k *card) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.kept == nil {
		return -1
	}
	return slices.Index(f.Tunnels, *k.kept)
}

// forget takes a tunnel's entry out of the file.
func (c *Control) forget(key string) error {
	c.remembering.Lock()
	defer c.remembering.Unlock()
	c.mu.Lock()
	k := c.cards[key]
	delete(c.cards, key)
	kept := k != nil && k.kept != nil
	c.mu.Unlock()
	if !kept {
		return nil
	}
	return c.edit(func(f *config.Config) {
		if i := c.place(f, k); i >= 0 {
			f.Tunnels = slices.Delete(f.Tunnels, i, i+1)
		}
	})
}

// arrange puts the entries in the order of the cards. Entries that have no card stay
// where they are.
func (c *Control) arrange(keys []string) error {
	return c.edit(func(f *config.Config) {
		var places []int
		var entries []config.Tunnel
		for _, key := range keys {
			c.mu.Lock()
			k := c.cards[key]
			c.mu.Unlock()
			if k == nil {
				continue
			}
			if i := c.place(f, k); i >= 0 && !slices.Contains(places, i) {
				places, entries = append(places, i), append(entries, f.Tunnels[i])
			}
		}
		slices.Sort(places)
		for n, i := range places {
			f.Tunnels[i] = entries[n]
		}
	})
}

// lastID is the tunnel ID that a card's backend has chosen, or "" if a name was wished.
func (c *Control) lastID(key string, k *card) string {
	c.mu.Lock()
	wish, kept := k.wish, k.kept
	c.mu.Unlock()
	if wish.Name != "" {
		return ""
	}
	if t := c.engine.Tunnel(key); t != nil {
		if id := t.Status().Established.TunnelID; id != "" {
			return id
		}
	}
	if kept != nil && kept.Profile == wish.Profile {
		return kept.ID
	}
	return ""
}

// keepIDs writes down the IDs that backends have chosen for tunnels which are
// remembered, whenever one has come online, until ctx ends.
func (c *Control) keepIDs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.online:
		}
		for _, t := range c.engine.Tunnels() {
			c.mu.Lock()
			k := c.cards[t.Key()]
			stale := k != nil && k.kept != nil
			c.mu.Unlock()
			if stale && c.lastID(t.Key(), k) != c.keptID(k) {
				c.remember(t.Key())
			}
		}
	}
}

func (c *Control) keptID(k *card) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return k.kept.ID
}
