package ui

import (
	"context"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/words"
)

// copiedFor is how long a button says that it has copied.
const copiedFor = 1500 * time.Millisecond

// flash is a button that says for a moment that it has copied.
type flash struct {
	label string // what it says otherwise
	until time.Time
}

func (w *Window) copyURL(key string) {
	if t := w.tunnel(key); t != nil && t.URL != "" {
		w.copyText(t.URL, func() { w.cards.Copied(key, w.cfg.Now()) })
	}
}

func (w *Window) copyStreamURL(key string) {
	if t := w.tunnel(key); t != nil && t.StreamURL != "" {
		w.copyText(t.StreamURL, func() {})
	}
}

// copyScope copies the URL of the selected tunnel, or of the only one.
func (w *Window) copyScope() {
	if w.scope != "" {
		w.copyURL(w.scope)
	} else if tunnels := w.cfg.Store.Tunnels(); len(tunnels) == 1 {
		w.copyURL(tunnels[0].Key)
	}
}

// copyWith copies at the press of a button, which then says so for a moment.
func (w *Window) copyWith(b *look.Button, text string) {
	w.copyText(text, func() {
		label := b.Text()
		if f, again := w.flashes[b]; again {
			label = f.label
		}
		w.flashes[b] = flash{label, w.cfg.Now().Add(copiedFor)}
		b.SetText(words.T("Copied"))
	})
}

// endFlashes gives buttons their own words back.
func (w *Window) endFlashes(now time.Time) {
	for b, f := range w.flashes {
		if !now.Before(f.until) {
			delete(w.flashes, b)
			b.SetText(f.label)
		}
	}
}

// copyText puts text on the clipboard: the desktop's, where it outlives this
// program, else the toolkit's.
func (w *Window) copyText(text string, then func()) {
	w.cfg.Bridge.Go(func(ctx context.Context) error { return w.cfg.Clipboard.Write(ctx, text) }, func(err error) {
		if err != nil {
			w.cfg.App.Clipboard().SetContent(text)
		}
		if then != nil {
			then()
		}
	})
}
