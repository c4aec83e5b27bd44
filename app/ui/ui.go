// Package ui is the desktop window: a field that opens tunnels, a card per
// tunnel, the live table of requests with the inspector beneath it, the sheets over
// them, and the tray menu. It knows the engine only as a Controller, reads what
// happens from a model.Store, and neither side ever waits for the other: whatever
// may block runs in a goroutine of Bridge, and whatever draws runs in the toolkit's.
package ui

import (
	"context"
	"errors"
	"net/url"
	"time"

	"culvert/app/config"
	"culvert/app/discover"
	"culvert/app/doctor"
	"culvert/app/exchange"
	"culvert/app/ui/model"
	"culvert/app/ui/settings"

	"fyne.io/fyne/v2"
)

// Controller does what the window asks for. Unless it says otherwise, its methods may
// block; the window calls them from goroutines of their own. Their errors are shown
// to people.
type Controller interface {
	Tunnels
	Backends
	Exchanges
	Settings
	Notices

	// SetWatched says whether somebody looks at the window: what only serves the eye
	// rests otherwise. It does not block.
	SetWatched(watched bool)
	// Retell puts what was said in another language into the store anew. It does not
	// block.
	Retell()
}

// Tunnels are what cards and tray ask for.
type Tunnels interface {
	// Open starts a tunnel to a target as a person types it, and returns its key. A
	// card for the target that is stopped is started instead of making another. With
	// remember the tunnel comes back with the next start of the program.
	Open(ctx context.Context, target string, remember bool) (key string, err error)
	Start(ctx context.Context, key string) error
	Stop(ctx context.Context, key string) error
	RetryNow(ctx context.Context, key string) error
	// Probe looks after the lights of a tunnel now.
	Probe(ctx context.Context, key string) error
	Remove(ctx context.Context, key string) error
	// Move puts a tunnel in another place among all.
	Move(ctx context.Context, key string, index int) error

	// Wish is what a tunnel was opened with. It does not block.
	Wish(key string) (model.Wish, bool)
	// Change opens a tunnel as wished, or with a key makes that one so. It returns the key.
	Change(ctx context.Context, key string, w model.Wish) (string, error)
	// BringBack opens a tunnel that was removed once more: stopped, in its old place.
	BringBack(ctx context.Context, w model.Wish, index int) error
	// Check says what is wrong with a target, and why it would be dangerous to let
	// others reach it.
	Check(ctx context.Context, target string) (discover.Hazard, error)
}

// Backends are where tunnels lead.
type Backends interface {
	// Profiles are the names of all, sorted. It does not block.
	Profiles() []string
	// ChooseProfile makes one of them the default for new tunnels; "" is the built-in relay.
	ChooseProfile(ctx context.Context, name string) error
	// AllowLAN lets other devices on the network reach the built-in relay, or not.
	AllowLAN(ctx context.Context, allow bool) error

	// SaveProfile changes the profile that was called old, or adds one if old is "".
	SaveProfile(ctx context.Context, old string, p model.Profile) error
	RemoveProfile(ctx context.Context, name string) error
	// TestProfile checks the profile as it is entered, with the token that is kept for
	// old if none is; report is called by the goroutine of the caller.
	TestProfile(ctx context.Context, old string, p model.Profile, report func(doctor.Check)) error
}

// Exchanges are what table and inspector ask for.
type Exchanges interface {
	// Exchange is the whole of a row: so far, while it is open.
	Exchange(ctx context.Context, r *model.Request) (*exchange.Exchange, error)
	// Recall finds an exchange by its ID.
	Recall(ctx context.Context, id string) (*exchange.Exchange, error)
	// Replay sends a request to the local service of the tunnel through which x came.
	Replay(ctx context.Context, x *exchange.Exchange, r model.Replay) error
	// Search finds rows in the history, with what is older than the cursor unless that is 0.
	Search(ctx context.Context, f model.Filter, before int64) (model.Page, error)
	// Clear removes what is kept of all requests, on disk and in memory.
	Clear(ctx context.Context) error
	// Export writes the exchanges of rows as HAR, and Import reads such a file.
	Export(ctx context.Context, rows []*model.Request, secrets bool) ([]byte, error)
	Import(ctx context.Context, file []byte) (n int, err error)
}

// Settings are what the settings sheet asks for.
type Settings interface {
	// State is what the sheet shows, but for what is known to the window.
	State(ctx context.Context) settings.State
	// Config is what is in force. It must not be changed, and does not block.
	Config() *config.Config
	// Edit changes the config file, and what of it the engine's side has in force.
	Edit(ctx context.Context, change func(*config.Config)) error
	SetLaunchAtLogin(ctx context.Context, on bool) error
}

// Notices are what was sent to the user. Their methods do not block.
type Notices interface {
	// ReadNotice marks a notice as read, and "" all of them.
	ReadNotice(id string)
	ClearNotices()
	// NoticeWay is how a notice can be sent to this user. It may block.
	NoticeWay(ctx context.Context) model.NoticeWay
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
