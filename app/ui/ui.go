// Package ui is the desktop window: a field that opens tunnels, a card per
// tunnel, the live table of requests, and the tray menu. It knows the engine only
// as a Controller, reads what happens from a model.Store, and neither side ever
// waits for the other: whatever may block runs in a goroutine of Bridge, and
// whatever draws runs in the toolkit's.
package ui

import (
	"context"
	"errors"
	"net/url"
	"time"

	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
)

// Controller does what the window asks for. Its methods may block; the window
// calls them from goroutines of their own. Their errors are shown to people.
type Controller interface {
	// Open starts a tunnel to a target as a person types it, and returns its key.
	Open(ctx context.Context, target string) (key string, err error)
	Start(ctx context.Context, key string) error
	Stop(ctx context.Context, key string) error
	RetryNow(ctx context.Context, key string) error
	Remove(ctx context.Context, key string) error
	// AllowLAN lets other devices on the network reach the built-in relay, or not.
	AllowLAN(ctx context.Context, allow bool) error
}

// Config is what a Window needs.
type Config struct {
	App        fyne.App
	Store      *model.Store
	Controller Controller
	Bridge     *Bridge
	Clipboard  Clipboard
	// OpenURL shows an address in the browser.
	OpenURL func(*url.URL) error
	// TrayHost reports whether something on this desktop shows tray icons. It may block for a moment.
	TrayHost func(ctx context.Context) bool
	// Quit ends the program; it is called in the toolkit's goroutine.
	Quit func()
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c *Config) validate() error {
	if c.App == nil || c.Store == nil || c.Controller == nil || c.Bridge == nil || c.Clipboard == nil ||
		c.OpenURL == nil || c.TrayHost == nil || c.Quit == nil {
		return errors.New("ui: a field of Config is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}
