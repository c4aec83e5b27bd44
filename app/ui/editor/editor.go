// Package editor has the sheets that deal with one thing: the form of a tunnel, to
// change it or to open one like it; its URL as a QR code; and the form that repeats
// a request, changed.
//
// Each is shown over the window's canvas, asks by its actions for what is to happen,
// and says inline what is wrong with what was typed. They speak the language that is
// set when they are made.
package editor

import (
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// dialog is what all of them have: a page in a sheet that is as high as it needs to
// be, and a place for what went wrong.
type dialog struct {
	canvas  fyne.Canvas
	sheet   *look.Sheet
	page    *form.Page
	problem *look.Banner
	busy    bool
	rest    func() // ends being busy; nil unless it is
	shown   int    // counts how often it has been opened, so that late answers are known
}

func (d *dialog) init(canvas fyne.Canvas, title string, closed func(), sections []fyne.CanvasObject, buttons ...fyne.CanvasObject) {
	d.canvas = canvas
	d.problem = look.NewBanner(look.Bad, "")
	d.problem.Hide()
	d.page = form.NewPage(look.NewStack(form.Loose, append(sections, d.problem)...))
	d.sheet = look.NewSheet(title, d.page, buttons...)
	d.sheet.Fill()
	d.sheet.OnClose(func() {
		d.idle()
		if closed != nil {
			closed()
		}
	})
}

// open shows the sheet from its top.
func (d *dialog) open(title string, focus fyne.Focusable) {
	d.shown++
	d.say(nil)
	d.sheet.SetTitle(title)
	d.relayout()
	d.sheet.Open(d.canvas, focus)
	d.relayout()
}

// sheetEdge is what stands beside a sheet in a narrow window, and its frame.
const sheetEdge float32 = 2*24 + 2

// relayout follows a change of what the page needs.
func (d *dialog) relayout() {
	d.sheet.SetHeight(d.page.HeightFor(min(look.SheetWidth-2, d.canvas.Size().Width-sheetEdge)))
	d.page.Relayout()
}

// say shows what kept it from being done, or nil.
func (d *dialog) say(err error) {
	text := ""
	if err != nil {
		text = words.T("That did not work. %s", model.Sentence(err.Error()))
	}
	if d.problem.Text() == text {
		return
	}
	d.problem.Set(look.Bad, text)
	d.problem.Hidden = text == ""
	d.relayout()
	if err != nil && d.sheet.Shown() {
		d.page.Reveal(d.problem)
	}
}

// run does what takes a moment: the button says so meanwhile, and the sheet closes
// when it is done. An answer to a sheet that was closed in the meantime is dropped.
func (d *dialog) run(button *look.Button, meanwhile string, start func(done func(error))) {
	if d.busy {
		return
	}
	d.busy = true
	d.say(nil)
	label, shown := button.Text(), d.shown
	button.SetText(meanwhile)
	d.rest = func() { button.SetText(label) }
	start(func(err error) {
		if shown != d.shown || !d.sheet.Shown() {
			return
		}
		d.idle()
		if err != nil {
			d.say(err)
			return
		}
		d.sheet.Close()
	})
}

// idle gives the button its own words back.
func (d *dialog) idle() {
	d.busy = false
	if d.rest != nil {
		d.rest()
		d.rest = nil
	}
}

// mark shows what is wrong with a row, or "".
func (d *dialog) mark(row *look.FormRow, problem string) {
	if row.SetError(problem) {
		d.relayout()
	}
}

// point leads to the first of the fields that is wrong.
func (d *dialog) point(fields ...wrongField) {
	for _, f := range fields {
		if f.problem != "" {
			d.canvas.Focus(f.field)
			d.page.Reveal(f.field)
			return
		}
	}
}

// wrongField is a field and what is wrong with it, or "".
type wrongField struct {
	field   *look.Field
	problem string
}
