package cards

import (
	"slices"
	"time"

	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

const between float32 = 12

// Column is the list of all cards.
type Column struct {
	widget.BaseWidget
	actions Actions
	scroll  *container.Scroll
	stack   *stack
}

// NewColumn returns an empty column.
func NewColumn(a Actions) *Column {
	c := &Column{actions: a, stack: &stack{}}
	c.stack.ExtendBaseWidget(c.stack)
	c.scroll = container.NewVScroll(c.stack)
	c.ExtendBaseWidget(c)
	return c
}

// Sync brings the cards to the tunnels' state. Cards are kept by key, so that a
// focus or a pressed button survives whatever happens to the other tunnels.
func (c *Column) Sync(tunnels []model.Tunnel, selected string, now time.Time) {
	old := c.stack.cards
	next := make([]*card, 0, len(tunnels))
	reshaped := len(old) != len(tunnels)
	wanted := wanted(tunnels, selected)
	for i, t := range tunnels {
		var k *card
		if at := slices.IndexFunc(old, func(k *card) bool { return k.tunnel.Key == t.Key }); at >= 0 {
			k = old[at]
			reshaped = reshaped || at != i
		} else {
			k = newCard(t, c)
			reshaped = true
		}
		if k.set(t, t.Key == selected, t.Key == wanted, now) {
			reshaped = true
		}
		next = append(next, k)
	}
	c.stack.cards = next
	if reshaped {
		c.stack.Refresh()
		c.scroll.Refresh()
	}
}

// wanted is the key of the tunnel whose URL is most likely to be copied next: the
// selected one's, else the first that is online. Only its button is filled, because
// of several calls to do something none is heard.
func wanted(tunnels []model.Tunnel, selected string) string {
	for _, t := range tunnels {
		if t.State == model.Online && (selected == "" || t.Key == selected) {
			return t.Key
		}
	}
	return ""
}

// Copied makes the tunnel's Copy button say so for a moment.
func (c *Column) Copied(key string, now time.Time) {
	for _, k := range c.stack.cards {
		if k.tunnel.Key == key {
			k.copied = now
			k.set(k.tunnel, k.selected, k.first, now)
		}
	}
}

// Reveal scrolls to the tunnel's card.
func (c *Column) Reveal(key string) {
	for _, k := range c.stack.cards {
		if k.tunnel.Key != key {
			continue
		}
		top, bottom := k.Position().Y, k.Position().Y+k.Size().Height
		if view := c.scroll.Size().Height; bottom > c.scroll.Offset.Y+view || top < c.scroll.Offset.Y {
			c.scroll.ScrollToOffset(fyne.NewPos(0, max(bottom-view+between, 0)))
		}
	}
}

// focus goes from a card to one of its neighbours.
func (c *Column) focus(from *card, by int) {
	to := slices.Index(c.stack.cards, from) + by
	if window := fyne.CurrentApp().Driver().CanvasForObject(from); window != nil && to >= 0 && to < len(c.stack.cards) {
		window.Focus(c.stack.cards[to])
	}
}

// CreateRenderer implements fyne.Widget.
func (c *Column) CreateRenderer() fyne.WidgetRenderer { return &columnRenderer{c} }

type columnRenderer struct{ *Column }

func (r *columnRenderer) Layout(size fyne.Size) {
	// The stack's height follows from its width, so the width comes first.
	r.stack.width = size.Width
	r.stack.Refresh()
	r.scroll.Resize(size)
}
func (r *columnRenderer) MinSize() fyne.Size           { return fyne.NewSize(200, 100) }
func (r *columnRenderer) Refresh()                     { r.stack.Refresh(); r.scroll.Refresh() }
func (r *columnRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.scroll} }
func (r *columnRenderer) Destroy()                     {}

// stack is the inside of the scroll.
type stack struct {
	widget.BaseWidget
	cards []*card
	width float32
}

// CreateRenderer implements fyne.Widget.
func (s *stack) CreateRenderer() fyne.WidgetRenderer { return &stackRenderer{owner: s} }

type stackRenderer struct {
	owner  *stack
	height float32
}

func (r *stackRenderer) Layout(fyne.Size) {
	y := between
	w := r.owner.width - 2*between
	for _, k := range r.owner.cards {
		h := k.heightFor(w)
		if size := fyne.NewSize(w, h); k.Size() == size {
			k.Refresh()
		} else {
			k.Resize(size)
		}
		k.Move(fyne.NewPos(between, y))
		y += h + between
	}
	r.height = y
}

func (r *stackRenderer) MinSize() fyne.Size { return fyne.NewSize(0, r.height) }

func (r *stackRenderer) Refresh() {
	r.Layout(r.owner.Size())
	canvas.Refresh(r.owner)
}

func (r *stackRenderer) Objects() []fyne.CanvasObject {
	objs := make([]fyne.CanvasObject, len(r.owner.cards))
	for i, k := range r.owner.cards {
		objs[i] = k
	}
	return objs
}

func (r *stackRenderer) Destroy() {}
