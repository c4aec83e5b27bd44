package control

import (
	"context"
	"errors"
	"time"

	"culvert/app/config"
	"culvert/app/history"
	"culvert/app/ui/settings"
	"culvert/app/ui/words"
	"culvert/app/version"
)

func duration(d config.Duration) time.Duration { return time.Duration(d) }

// brokenConfig is what the window says about a config file that cannot be used.
func brokenConfig(err error) string {
	return words.T("The configuration cannot be used: %s. Culvert runs on defaults, with the built-in relay; the file is untouched. Correct it and start Culvert again.", err.Error())
}

// limits is what the config file says of the history.
func limits(h config.History) history.Limits {
	return history.Limits{
		MaxBytes: int64(h.MaxMB) << 20, MaxAge: time.Duration(h.MaxDays) * 24 * time.Hour, Secrets: !h.Redact,
	}
}

// Config is what is in force.
func (c *Control) Config() *config.Config { return c.file.Load() }

// Edit changes the config file, and what of it concerns the engine's side.
func (c *Control) Edit(ctx context.Context, change func(*config.Config)) error {
	before := c.Config()
	if err := c.edit(change); err != nil {
		return err
	}
	after := c.Config()
	c.cfg.Notices.Set(after.Notices)
	c.mu.Lock()
	if after.Profile != before.Profile {
		c.chosen, c.override = after.Profile, nil
	}
	c.mu.Unlock()
	c.show(c.engine.BuiltIn())
	return c.past.change(ctx, func() (bool, history.Limits) {
		h := c.Config().History
		return h.Enabled, limits(h)
	})
}

// edit changes the config file and what is in force of it.
func (c *Control) edit(change func(*config.Config)) error {
	c.editing.Lock()
	defer c.editing.Unlock()
	err := c.cfg.Dir.Edit(func(f *config.Config) error {
		change(f)
		return nil
	})
	if err != nil {
		return err
	}
	file, err := c.cfg.Dir.Load()
	if err != nil {
		return err
	}
	c.file.Store(file)
	c.mu.Lock()
	c.problem = nil
	c.mu.Unlock()
	return nil
}

// SetLaunchAtLogin starts the program at login from now on, or does so no more.
func (c *Control) SetLaunchAtLogin(_ context.Context, on bool) error {
	if c.cfg.Login == nil {
		return errNoLogin
	}
	if on {
		return c.cfg.Login.Enable()
	}
	return c.cfg.Login.Disable()
}

var errNoLogin = errors.New("where this program lies is not known, so that it cannot be started at login")

// State is what the settings show.
func (c *Control) State(ctx context.Context) settings.State {
	s := settings.State{
		Config: c.Config(), Tokens: map[string]settings.Token{}, TokenPlace: c.cfg.Secrets.Place(ctx).Text,
		ConfigFile: c.cfg.Dir.ConfigFile(), History: c.past.usage(ctx), Version: version.Line(), CrashReport: c.cfg.CrashReport,
	}
	for name, p := range s.Config.Profiles {
		switch {
		case p.TokenFile != "":
			s.Tokens[name] = settings.TokenInFile
		case p.Keychain:
			s.Tokens[name] = settings.TokenKept
		default:
			s.Tokens[name] = settings.NoToken
		}
	}
	if c.cfg.Login == nil {
		s.LaunchProblem = errNoLogin.Error()
	} else if on, err := c.cfg.Login.Enabled(); err != nil {
		s.LaunchProblem = err.Error()
	} else {
		s.LaunchAtLogin = on
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem != nil {
		s.ConfigProblem = c.problem.Error()
	}
	return s
}
