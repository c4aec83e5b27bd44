package inspector

import (
	"bytes"
	"context"

	"culvert/app/exchange"
	"culvert/app/share"
	"culvert/app/ui/look"
	"culvert/app/ui/words"
)

// CopyCURL copies the request as a command line, with its secrets masked unless they
// are shown.
func (i *Inspector) CopyCURL() { i.copyAs(share.CURL) }

// copyAs puts the exchange into words and those on the clipboard.
func (i *Inspector) copyAs(form func(*exchange.Exchange, share.Options) string) {
	x, o := i.exchange, i.options()
	if x == nil {
		return
	}
	var text string
	var without bool
	i.run(func(context.Context) {
		text = form(x, o)
		if !o.Secrets {
			all := o
			all.Secrets = true
			without = text != form(x, all)
		}
	}, func() {
		i.actions.Copy(text, func() { i.head.copied(without) })
	})
}

func (i *Inspector) options() share.Options {
	return share.Options{Secrets: i.secrets, Version: i.actions.Version}
}

func (i *Inspector) saveHAR() {
	x, o := i.exchange, i.options()
	var file bytes.Buffer
	var err error
	i.run(func(context.Context) { err = share.WriteHAR(&file, []*exchange.Exchange{x}, o) }, func() {
		if err == nil { // writing to memory fails for nothing that the user could mend
			i.actions.Save("exchange.har", file.Bytes())
		}
	})
}

// copyItems are the forms in which an exchange can be passed on, and what is in them.
func (i *Inspector) copyItems() []look.Item {
	return append(i.copyForms(), look.Item{Separator: true},
		look.Item{Text: words.T("With secrets"), Checked: i.secrets, Run: func() { i.reveal("") }})
}

func (i *Inspector) copyForms() []look.Item {
	items := []look.Item{
		{Text: words.T("Copy as cURL"), Icon: look.IconTerminal, Run: func() { i.copyAs(share.CURL) }},
		{Text: words.T("Copy as raw HTTP"), Icon: look.IconCopy, Run: func() { i.copyAs(share.Raw) }},
		{Text: words.T("Copy as Markdown"), Icon: look.IconCopy, Run: func() { i.copyAs(share.Markdown) }},
	}
	if i.actions.Save != nil {
		items = append(items, look.Item{Text: words.T("Save as HAR…"), Icon: look.IconSave, Run: i.saveHAR})
	}
	return items
}

// moreItems are all that a narrow inspector has no room for.
func (i *Inspector) moreItems() []look.Item {
	var items []look.Item
	if i.actions.Edit != nil {
		items = append(items, look.Item{Text: words.T("Edit and replay…"), Icon: look.IconEdit, Disabled: i.exchange.Status == 101, Run: i.edit})
	}
	compare := words.T("Compare with another")
	if i.comparing() {
		compare = words.T("Stop comparing")
	}
	secrets, eye := words.T("Show secrets"), look.IconEye
	if i.secrets {
		secrets, eye = words.T("Hide secrets"), look.IconEyeOff
	}
	items = append(items, look.Item{Text: compare, Icon: look.IconCompare, Run: i.Compare},
		look.Item{Text: secrets, Icon: eye, Run: func() { i.reveal("") }}, look.Item{Separator: true})
	return append(items, i.copyForms()...)
}

func (i *Inspector) replay() {
	if i.exchange != nil && i.notReplayable() == "" && i.actions.Replay != nil {
		i.actions.Replay(i.exchange)
	}
}

func (i *Inspector) edit() {
	if i.exchange != nil && i.actions.Edit != nil {
		i.actions.Edit(i.exchange)
	}
}

// notReplayable says why the request cannot be sent again as it was, or "".
func (i *Inspector) notReplayable() string {
	switch x := i.exchange; {
	case x == nil:
		return words.T("Nothing is chosen")
	case x.Status == 101 || x.Upgrade != "":
		return words.T("A connection that changed protocols cannot be replayed")
	case x.Redacted:
		return words.T("Its secrets were not kept: edit it to replay it with others")
	case x.Request.Truncated || x.Request.Dropped:
		return words.T("Its body was not kept whole: edit it to replay it with another")
	default:
		return ""
	}
}
