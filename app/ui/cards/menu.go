package cards

import (
	"slices"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// items are the lines of a card's menu: all that can be done with the tunnel, also
// what has a button of its own.
func (c *card) items() []look.Item {
	a, t := c.actions, c.tunnel
	var groups [][]look.Item
	group := func(items ...look.Item) {
		items = slices.DeleteFunc(items, func(i look.Item) bool { return i.Run == nil })
		if len(items) > 0 {
			groups = append(groups, items)
		}
	}
	with := func(run func(string)) func() {
		if run == nil {
			return nil
		}
		return func() { run(t.Key) }
	}

	toggle := look.Item{Text: words.T("Start"), Icon: look.IconPlay, Run: with(a.Start)}
	if t.State.Running() {
		toggle = look.Item{Text: words.T("Stop"), Icon: look.IconStop, Run: with(a.Stop)}
	}
	group(toggle,
		look.Item{Text: words.T("Check the connection"), Icon: look.IconPulse, Disabled: t.State != model.Online, Run: with(a.Probe)})

	urls := []look.Item{
		{Text: words.T("Copy URL"), Icon: look.IconCopy, Disabled: !c.hasURL(), Run: with(a.Copy)},
		{Text: words.T("Open in browser"), Icon: look.IconOpen, Disabled: t.State != model.Online, Run: with(a.OpenURL)},
		{Text: words.T("Show QR code"), Icon: look.IconQR, Disabled: !c.hasURL(), Run: with(a.Share)},
	}
	if t.StreamURL != "" {
		urls = append(urls, look.Item{Text: words.T("Copy URL for streams"), Icon: look.IconPulse, Run: with(a.CopyStreamURL)})
	}
	group(urls...)

	group(
		look.Item{Text: words.T("Edit…"), Icon: look.IconEdit, Run: with(a.Edit)},
		look.Item{Text: words.T("Duplicate…"), Icon: look.IconTwice, Run: with(a.Duplicate)})

	if cards := c.column.stack.cards; a.Move != nil && len(cards) > 1 {
		at := slices.Index(cards, c)
		group(
			look.Item{Text: words.T("Move up"), Icon: look.IconUp, Hint: words.T("Alt+↑"), Disabled: at == 0, Run: func() { c.move(-1) }},
			look.Item{Text: words.T("Move down"), Icon: look.IconDown, Hint: words.T("Alt+↓"), Disabled: at == len(cards)-1, Run: func() { c.move(1) }})
	}

	// A running one is not removed: visitors may be using its URL.
	remove := look.Item{Text: words.T("Remove"), Icon: look.IconTrash, Danger: true, Run: with(a.Remove)}
	if t.State.Running() {
		remove.Disabled, remove.Hint = true, words.T("stop it first")
	}
	group(remove)

	var items []look.Item
	for i, g := range groups {
		if i > 0 {
			items = append(items, look.Item{Separator: true})
		}
		items = append(items, g...)
	}
	return items
}
