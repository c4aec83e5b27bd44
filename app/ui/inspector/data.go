package inspector

import (
	"context"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// Data shows a piece of JSON that belongs to no request, as the inspector shows bodies:
// laid out, as it is or byte by byte, and copied as a whole.
type Data struct {
	*bodyView
	shell *Inspector // what a body view asks for its surroundings
	data  []byte
	views [inspect.Hex + 1]*prepared
	job   *job
}

// NewData returns an empty one. Of the actions it needs Prepare and Copy.
func NewData(a Actions) *Data {
	d := &Data{shell: newShell(a)}
	d.bodyView = newBodyView(d.shell, d.prepared, nil)
	d.pane.escape = a.Close
	d.ExtendBaseWidget(d)
	return d
}

// Set shows data, with a word for what it is. Without any it says why there is none.
func (d *Data) Set(data []byte, what, none string) {
	d.shell.endFlash()
	d.job.stop()
	d.data, d.views = data, [inspect.Hex + 1]*prepared{}
	d.tell(what)
	if data == nil {
		d.clear(none)
		return
	}
	d.clear("") // it takes a moment; what was there before belongs to something else
	d.fill(true)
}

// prepared is the data in a mode, or nil while it is laid out.
func (d *Data) prepared(mode inspect.Mode, then func()) *prepared {
	if d.data == nil || d.views[mode] != nil {
		return d.views[mode]
	}
	p, msg := &prepared{}, exchange.StreamMessage{Kind: exchange.Text, Data: d.data, Size: int64(len(d.data))}
	d.job.stop()
	d.job = d.shell.run(func(ctx context.Context) {
		if view, err := inspect.NewMessage(ctx, msg, mode); err == nil {
			p.view = view
		}
	}, func() {
		if p.view != nil {
			d.views[mode] = p
			then()
		}
	})
	return d.views[mode]
}

// Sync takes back what a button says for a moment. It is to be called once a frame.
func (d *Data) Sync() { d.shell.syncFlash() }

// Focus is what takes the keyboard.
func (d *Data) Focus() fyne.Focusable { return d.pane.sheet }

// Height is the least that it needs for a few lines.
func (d *Data) Height() float32 { return toolHeight + 4*lineHeight + look.Gap }
