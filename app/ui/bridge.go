package ui

import (
	"context"
	"sync"
	"time"

	"fyne.io/fyne/v2"
)

// FrameTime is how often a visible window takes in what happened.
const FrameTime = time.Second / 15

// maxRest bounds how long the next frame waits after one that took long.
const maxRest = 500 * time.Millisecond

// Bridge is the only crossing between the toolkit's goroutine and all others:
// this file holds every fyne.Do of the program.
//
// Calls to the window are cheap to make and never awaited. At most one frame is
// under way: when the toolkit is busy, frames are left out instead of queueing up.
type Bridge struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards closed against do: no call starts after Close
	closed bool
	do     func(func())

	visible chan bool
}

// NewBridge returns a bridge into Fyne's goroutine.
func NewBridge() *Bridge { return newBridge(fyne.Do) }

func newBridge(do func(func())) *Bridge {
	ctx, cancel := context.WithCancel(context.Background())
	return &Bridge{ctx: ctx, cancel: cancel, do: do, visible: make(chan bool, 1)}
}

// Post runs f in the toolkit's goroutine, some time soon. After Close it does nothing.
func (b *Bridge) Post(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.do(f)
	}
}

// Go runs work in a goroutine of its own, and then in the toolkit's, unless it is nil.
// The context ends with the bridge.
func (b *Bridge) Go(work func(context.Context) error, then func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.wg.Go(func() {
		err := work(b.ctx)
		if then != nil && b.ctx.Err() == nil {
			b.Post(func() { then(err) })
		}
	})
}

// SetVisible starts and stops the frames.
func (b *Bridge) SetVisible(visible bool) {
	for {
		select {
		case b.visible <- visible:
			return
		case <-b.visible: // an older wish, overtaken
		}
	}
}

// Run calls frame in the toolkit's goroutine: when changed signals, and while the
// window is visible at every tick. It starts with the window hidden.
func (b *Bridge) Run(changed <-chan struct{}, frame func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.wg.Go(func() { b.run(changed, frame) })
	}
}

func (b *Bridge) run(changed <-chan struct{}, frame func()) {
	ticker := time.NewTicker(FrameTime)
	ticker.Stop()
	defer ticker.Stop()
	pending := false // a change that no frame under way can have seen
	var landed <-chan struct{}
	var posted, rest time.Time // when the last frame began, and until when to leave the toolkit alone
	post := func() {
		if landed != nil {
			pending = true
			return
		}
		done := make(chan struct{})
		landed, pending = done, false
		posted = time.Now()
		b.Post(func() {
			defer close(done)
			frame()
		})
	}
	visible := false
	for {
		select {
		case <-b.ctx.Done():
			return
		case v := <-b.visible:
			if v && !visible {
				ticker.Reset(FrameTime)
				post()
			} else if !v {
				ticker.Stop()
			}
			visible = v
		case <-changed:
			post()
		case <-ticker.C:
			if landed == nil && !time.Now().Before(rest) {
				post()
			}
		case <-landed:
			landed = nil
			// A frame that took long leaves as much time again for drawing and for the user.
			rest = posted.Add(min(2*time.Since(posted), maxRest))
			if pending {
				post()
			}
		}
	}
}

// Shut lets no further call through: the toolkit is about to end, and a late call
// would find nobody.
func (b *Bridge) Shut() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
}

// Close shuts the bridge and waits for what Go and Run have started.
func (b *Bridge) Close() {
	b.Shut()
	b.wg.Wait()
}
