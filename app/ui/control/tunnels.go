package control

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"time"

	"culvert/app/discover"
	"culvert/app/engine"
	"culvert/app/forwarder"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/app/ui/model"
)

// Open starts a tunnel to a target as a person types it; see ui.Tunnels.
func (c *Control) Open(ctx context.Context, text string, remember bool) (string, error) {
	to, err := target.Parse(text)
	if err != nil {
		return "", err
	}
	if t := c.resting(to); t != nil {
		return t.Key(), c.Start(ctx, t.Key())
	}
	w := model.Wish{Target: written(to), Profile: c.current()}
	if t := c.open(to, w.Profile); t != nil && remember {
		return t.Key(), nil // another one to the same place is made by Duplicate
	}
	return c.add(ctx, to, w, remember)
}

// open finds a tunnel that leads from the backend to the target.
func (c *Control) open(to target.Target, profile string) *engine.Tunnel {
	for _, t := range c.engine.Tunnels() {
		if spec := t.Spec(); spec.Target == to && spec.Profile == profile {
			return t
		}
	}
	return nil
}

// written is a target as a person would write it, and read back as the same.
func written(to target.Target) string {
	if short := to.Short(); !to.IsFolder() {
		if same, err := target.Parse(short); err == nil && same == to {
			return short
		}
	}
	return to.String()
}

// resting finds a card for the target that waits to be started.
func (c *Control) resting(to target.Target) *engine.Tunnel {
	for _, t := range c.engine.Tunnels() {
		if t.Spec().Target == to && !running(t) {
			return t
		}
	}
	return nil
}

// running reports whether starting the tunnel would change nothing.
func running(t *engine.Tunnel) bool {
	s := t.Status().State
	return s != session.Stopped && s != session.Refused
}

// add makes a tunnel as wished and starts it.
func (c *Control) add(ctx context.Context, to target.Target, w model.Wish, remember bool) (string, error) {
	spec, err := c.spec(ctx, to, w)
	if err != nil {
		return "", err
	}
	t, err := c.engine.Open(spec)
	if err != nil {
		return "", err
	}
	c.put(t, &card{wish: w})
	// Its card is there at once, unless the first event was faster.
	shown := c.shown(t, t.Status())
	shown.State = model.Connecting // what the engine begins with in a moment
	c.store.AddTunnel(shown)
	if remember {
		c.remember(t.Key())
	}
	return t.Key(), nil
}

// spec is a wish in the engine's terms. It may ask the keychain.
func (c *Control) spec(ctx context.Context, to target.Target, w model.Wish) (engine.Spec, error) {
	b, err := c.backend(ctx, w.Profile)
	if err != nil {
		return engine.Spec{}, err
	}
	return c.specWith(b, to, w), nil
}

func (c *Control) specWith(b backend, to target.Target, w model.Wish) engine.Spec {
	defaults := c.Config().Defaults
	return engine.Spec{
		Target: to, Name: w.Name, Profile: w.Profile, Backend: b.URL, Token: b.Token, TokenFile: b.TokenFile, RootCAs: b.RootCAs,
		HostHeader: forwarder.HostHeader(cmp.Or(w.HostHeader, defaults.HostHeader)),
		Timeout:    cmp.Or(w.Timeout, time.Duration(defaults.Timeout)),
	}
}

// Start connects a tunnel, with the token and the address that its profile has now.
func (c *Control) Start(ctx context.Context, key string) error {
	t := c.engine.Tunnel(key)
	if t == nil {
		return errGone
	}
	if running(t) {
		return nil
	}
	if w, known := c.Wish(key); known {
		spec, err := c.spec(ctx, t.Spec().Target, w)
		if err != nil {
			return err
		}
		if err := c.engine.Edit(key, spec); err != nil {
			return err
		}
	}
	t.Start()
	return nil
}

// Stop disconnects a tunnel.
func (c *Control) Stop(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).Stop)
}

// RetryNow skips the wait before the next try.
func (c *Control) RetryNow(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).RetryNow)
}

// Probe looks after the lights of a tunnel now.
func (c *Control) Probe(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).Probe)
}

// Remove takes a tunnel away, and out of the config file.
func (c *Control) Remove(_ context.Context, key string) error {
	c.mu.Lock()
	k := c.cards[key]
	c.mu.Unlock()
	if k != nil {
		id := c.lastID(key, k) // while the tunnel knows it
		c.mu.Lock()
		if len(c.removed) >= maxRemoved {
			clear(c.removed)
		}
		c.removed[k.wish] = id
		c.mu.Unlock()
	}
	if err := c.with(key, (*engine.Tunnel).Remove); err != nil {
		return err
	}
	return c.forget(key)
}

// Move puts a tunnel in another place among all.
func (c *Control) Move(_ context.Context, key string, index int) error {
	c.engine.Move(key, index)
	var keys []string
	for _, t := range c.engine.Tunnels() {
		keys = append(keys, t.Key())
	}
	c.store.ArrangeTunnels(keys)
	return c.arrange(keys)
}

// Wish is what a tunnel was opened with.
func (c *Control) Wish(key string) (model.Wish, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.cards[key]; k != nil {
		return k.wish, true
	}
	return model.Wish{}, false
}

// Change opens a tunnel as wished, or makes the one with the key so.
func (c *Control) Change(ctx context.Context, key string, w model.Wish) (string, error) {
	to, err := target.Parse(w.Target)
	if err != nil {
		return "", err
	}
	w.Target = written(to)
	if key == "" {
		return c.add(ctx, to, w, true)
	}
	t := c.engine.Tunnel(key)
	if t == nil {
		return "", errGone
	}
	spec, err := c.spec(ctx, to, w)
	if err != nil {
		return "", err
	}
	if err := c.engine.Edit(key, spec); err != nil {
		return "", err
	}
	c.mu.Lock()
	if k := c.cards[key]; k != nil {
		k.wish = w
	}
	c.mu.Unlock()
	c.store.PutTunnel(c.shown(t, t.Status()))
	c.remember(key)
	return key, nil
}

// maxRemoved bounds how many removed tunnels can have their URLs back.
const maxRemoved = 64

// BringBack opens a tunnel that was removed once more: stopped, in its old place, and to
// be started under its old URL. It needs no token, which Start asks for.
func (c *Control) BringBack(ctx context.Context, w model.Wish, index int) error {
	to, err := target.Remembered(w.Target)
	if err != nil {
		return err
	}
	w.Target = written(to)
	spec := c.specWith(backend{URL: c.address(w.Profile)}, to, w)
	c.mu.Lock()
	spec.LastID = c.removed[w]
	delete(c.removed, w)
	c.mu.Unlock()
	t, err := c.engine.OpenStopped(spec)
	if err != nil {
		return err
	}
	c.put(t, &card{wish: w})
	c.store.PutTunnel(c.shown(t, t.Status()))
	c.remember(t.Key())
	return c.Move(ctx, t.Key(), index)
}

// address is where a profile leads; a name that is a URL stands for itself.
func (c *Control) address(profile string) *url.URL {
	if strings.Contains(profile, "://") {
		u, _ := url.Parse(profile) // Start tells what is wrong with it
		return u
	}
	return c.Config().Profiles[profile].Backend.URL
}

// Check says what is wrong with a target, and whether it is dangerous.
func (c *Control) Check(_ context.Context, text string) (discover.Hazard, error) {
	to, err := target.Parse(text)
	if err != nil {
		return discover.Hazard{}, err
	}
	_, hazard := c.describe(to)
	return hazard, nil
}

// describe says what is known of a target on this computer.
func (c *Control) describe(to target.Target) (framework string, hazard discover.Hazard) {
	hazard = discover.HazardOf(to, c.cfg.Dir.Path())
	if to.IsFolder() || !to.IsLoopback() {
		return "", hazard
	}
	for _, s := range *c.services.Load() {
		if s.Port == to.Port {
			if hazard.Kind == discover.NoHazard {
				hazard = s.Hazard
			}
			return s.Framework, hazard
		}
	}
	return "", hazard
}

// put makes a card known.
func (c *Control) put(t *engine.Tunnel, k *card) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cards[t.Key()] = k
}

// shown is a tunnel as the window shows it.
func (c *Control) shown(t *engine.Tunnel, s session.Status) model.Tunnel {
	spec := t.Spec()
	framework, hazard := c.describe(spec.Target)
	m := model.Tunnel{
		Key: t.Key(), Name: spec.Title(), Detail: s.Established.TunnelID, Target: spec.Target.Short(),
		Framework: framework, Folder: spec.Target.IsFolder(), Profile: spec.Profile, Hazard: model.HazardWhy(hazard),
		State: state(s.State), Since: s.Since, Attempt: s.Attempt, NextTry: s.NextTry, Lights: lights(t, t.Lights(), s),
		URL: webURL(s.Established.PublicURL), StreamURL: webURL(s.Established.StreamURL),
	}
	m.Public = m.URL != "" && !model.Local(m.URL)
	m.Browse = browse(s.Established.SubdomainURL)
	if spec.Name != "" {
		m.Detail = m.Target
	}
	m.Cause, m.TokenRefused = cause(s.Cause, spec.Backend, spec.Token != ""), tokenRefused(s.Cause)
	c.mu.Lock()
	k := c.cards[t.Key()]
	m.Remembered = k != nil && k.kept != nil
	c.mu.Unlock()
	return m
}

// lights puts what the engine has found out beside what the session says of the link.
func lights(t *engine.Tunnel, found engine.Lights, s session.Status) model.Lights {
	l := model.Lights{Service: light(found.Service), URL: light(found.URL)}
	switch s.State {
	case session.Online:
		l.Link = model.Light{State: model.LightUp, At: s.Since}
	case session.Connecting:
		l.Link = model.Light{State: model.LightChecking, At: s.Since}
	case session.Reconnecting, session.Refused:
		spec := t.Spec()
		l.Link = model.Light{State: model.LightDown, At: s.Since, Cause: cause(s.Cause, spec.Backend, spec.Token != "")}
	}
	return l
}

func light(l engine.Light) model.Light {
	m := model.Light{Cause: l.Cause, RTT: l.RTT, At: l.At}
	switch l.State {
	case engine.Checking:
		m.State = model.LightChecking
	case engine.Up:
		m.State = model.LightUp
	case engine.Down:
		m.State = model.LightDown
	case engine.Waits:
		m.State = model.LightWaits
	}
	return m
}
