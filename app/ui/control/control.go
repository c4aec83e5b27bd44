// Package control stands between the engine and the window: it turns what the
// window asks for into calls of the engine, the history, the config file and the
// keychain, and the engine's events into what the window shows.
package control

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"

	"culvert/app/config"
	"culvert/app/discover"
	"culvert/app/engine"
	"culvert/app/secret"
	"culvert/app/ui/model"
	"culvert/app/ui/received"
)

// Engine is the part of engine.Engine that is used here.
type Engine interface {
	Open(engine.Spec) (*engine.Tunnel, error)
	OpenStopped(engine.Spec) (*engine.Tunnel, error)
	Edit(key string, spec engine.Spec) error
	Move(key string, index int)
	Tunnel(key string) *engine.Tunnel
	Tunnels() []*engine.Tunnel
	SetWatched(watched bool)
	BuiltIn() engine.BuiltIn
	AllowLAN(ctx context.Context, allow bool) error
}

// Secrets keeps the tokens of profiles, as *secret.Store does.
type Secrets interface {
	Get(ctx context.Context, profile string) (string, error)
	Set(ctx context.Context, profile, token string) (secret.Place, error)
	Delete(ctx context.Context, profile string) error
	Place(ctx context.Context) secret.Place
}

// Login starts the program when its user logs in, as *autostart.Entry does.
type Login interface {
	Enabled() (bool, error)
	Enable() error
	Disable() error
}

// Notices tell of what happens while nobody looks, as *notices.Policy does. Their
// methods are called in the order of events and must not block.
type Notices interface {
	// Status is where a tunnel stands now, and Removed its end.
	Status(model.Tunnel)
	Removed(key string)
	// Request is one that came through a tunnel with that name.
	Request(key, name string, r *model.Request)
	// Message is what a backend has to say.
	Message(name, text string)
	// Received is a notice that somebody has sent to the user, and Seen that those
	// there are have been looked at.
	Received(n model.Received)
	Seen()
	// Set says which kinds are wanted.
	Set(config.Notices)
}

// Config is what a Control needs. Login may be nil.
type Config struct {
	Store   *model.Store
	Dir     *config.Dir
	Secrets Secrets
	Notices Notices
	Login   Login
	// Backend is where new tunnels lead, whatever the config file says; nil leaves it
	// to that.
	Backend *url.URL
	// LAN: the built-in relay begins within reach of the network around.
	LAN bool
	// CrashReport is what the last crash has left, "" for nothing.
	CrashReport string
	Logger      *slog.Logger
}

// Control implements the window's Controller. Give its OnEvent to the engine, and
// the engine to Attach before anything else is asked for. Close must be called in
// the end.
type Control struct {
	cfg    Config
	store  *model.Store
	engine Engine
	finder *discover.Watcher
	past   past
	live   lives
	// keeping is held from copying an exchange until the history has the copy, so that no
	// older one comes after it, and nothing of what is cleared.
	keeping sync.Mutex
	inbox   *received.Box
	// receiving is held from changing inbox until the window's list is the same.
	receiving sync.Mutex

	file     atomic.Pointer[config.Config] // what is in force
	services atomic.Pointer[[]discover.Service]
	watched  atomic.Bool

	editing sync.Mutex // held while the config file is changed
	// remembering is held until a card knows the entry that was written for it: another
	// who writes meanwhile would not find that, and write a second one.
	remembering sync.Mutex

	// online has a mark when a tunnel has come online; see keepIDs.
	online chan struct{}
	ctx    context.Context // ends with Close
	end    context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex
	// chosen is the profile that new tunnels use; override the backend that --backend
	// has put in its place, nil for none.
	chosen   string
	override *url.URL
	problem  error // why the config file cannot be used, nil if it can
	cards    map[string]*card
	// removed are the last IDs of tunnels that may be brought back.
	removed map[model.Wish]string
	// lan is what was last wished for: while the built-in relay does not run, that
	// is what will be in force.
	lan bool
}

// card is what is known of a tunnel besides the engine.
type card struct {
	wish model.Wish
	// kept is the tunnel's entry in the config file, nil if it has none.
	kept *config.Tunnel
}

// New reads the config file. What is wrong with that is no reason not to start: it
// is said in the window, and the file is left alone.
func New(cfg Config) *Control {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Control{cfg: cfg, store: cfg.Store, override: cfg.Backend, lan: cfg.LAN, cards: map[string]*card{}, removed: map[model.Wish]string{}, online: make(chan struct{}, 1)}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.services.Store(&[]discover.Service{})
	file, err := cfg.Dir.Load()
	if err != nil {
		file, c.problem = config.Default(), err
		c.store.AddNotice(brokenConfig(err))
	}
	c.file.Store(file)
	c.chosen = file.Profile
	cfg.Notices.Set(file.Notices)
	c.openInbox()
	c.past.init(cfg.Dir, limits(file.History), file.History.Enabled, c.store, cfg.Logger)
	c.finder = discover.NewWatcher(discover.WatchConfig{OnChange: c.found, OnError: func(err error) {
		cfg.Logger.Warn("the services of this computer cannot be listed", "error", err)
	}})
	c.show(engine.BuiltIn{})
	return c
}

// Attach names the engine.
func (c *Control) Attach(e Engine) {
	c.engine = e
	c.wg.Go(func() { c.keepIDs(c.ctx) })
	c.wg.Go(func() { c.keepStreams(c.ctx) })
}

// Begin opens the history, and starts those of the restored tunnels that are to be
// open from the start on. It may block, also for the keychain.
func (c *Control) Begin(ctx context.Context) {
	var history sync.WaitGroup
	history.Go(func() {
		c.past.open(ctx)
		c.past.rest(ctx)
	})
	c.startRestored(ctx)
	history.Wait()
}

// Close ends what Control has started, and writes what is queued for the history.
// The engine must have been closed.
func (c *Control) Close(ctx context.Context) error {
	c.end()
	c.wg.Wait()
	c.finder.Close()
	c.inbox.Close()
	return c.past.close(ctx)
}

// SetWatched implements ui.Controller.
func (c *Control) SetWatched(watched bool) {
	c.watched.Store(watched)
	c.engine.SetWatched(watched)
	c.finder.SetWatched(watched)
}

// found takes the list of what listens on this computer.
func (c *Control) found(services []discover.Service) {
	c.services.Store(&services)
	c.store.SetServices(services)
	for _, t := range c.engine.Tunnels() {
		framework, hazard := c.describe(t.Spec().Target)
		c.store.ChangeTunnel(t.Key(), func(m *model.Tunnel) { m.Framework, m.Hazard = framework, model.HazardWhy(hazard) })
	}
}

var errGone = errors.New("this tunnel has been removed")

func (c *Control) with(key string, do func(*engine.Tunnel)) error {
	t := c.engine.Tunnel(key)
	if t == nil {
		return errGone
	}
	do(t)
	return nil
}
