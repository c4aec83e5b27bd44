package inspector

import (
	"culvert/app/inspect"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// note is something to be said about a body.
type note struct {
	text  string
	color fyne.ThemeColorName
}

// noteLines are the notes as lines of a text; what is hidden can be shown there.
func (i *Inspector) noteLines(p *prepared) []line {
	var lines []line
	for n, note := range notesOf(p) {
		l := say(note.color, note.text)
		if n == 0 && p.masked {
			l.spans = append(l.spans, span{text: " "}, span{text: words.T("show"), color: look.ColorInfo, tap: func() { i.reveal("") }})
		}
		lines = append(lines, l)
	}
	return lines
}

// notesOf are the body's notes in the user's language.
func notesOf(p *prepared) []note {
	var notes []note
	if p.partial {
		return notes // they are about the cut that was made for speed
	}
	if p.masked {
		notes = append(notes, note{words.T("Secrets in it are hidden."), look.ColorMuted})
	}
	for _, n := range p.view.AllNotes() {
		color := look.ColorWarn
		if n.Kind == inspect.Decoded || n.Kind == inspect.Charset || n.Kind == inspect.ImageScaled {
			color = look.ColorMuted
		}
		notes = append(notes, note{noteWords(n), color})
	}
	return notes
}

func noteWords(n inspect.Note) string {
	switch n.Kind {
	case inspect.Truncated:
		return words.T("Cut: only the first %s of %s were kept.", model.Size(n.A), model.Size(n.B))
	case inspect.Dropped:
		return words.T("Nothing was kept of its %s.", model.Size(n.B))
	case inspect.Decoded:
		return words.T("Unpacked from %s: %s became %s.", n.Text, model.Size(n.A), model.Size(n.B))
	case inspect.NotDecoded:
		return words.T("It could not be unpacked from %s: shown as it travelled.", n.Text)
	case inspect.DecodedInPart:
		return words.T("Its %s packing is broken or ends early, after %s.", n.Text, model.Size(n.A))
	case inspect.TooLong:
		return words.T("Only the first %s of what it unpacks to are shown.", model.Size(n.A))
	case inspect.Malformed:
		return words.T("It is not what its type says from byte %d on; the rest is as it is.", n.A)
	case inspect.Charset:
		return words.T("Converted from %s.", n.Text)
	case inspect.TooManyRows:
		return words.T("Only the first %d lines are shown. Save has all of it.", n.A)
	case inspect.ImageTooLarge:
		return words.T("The picture is too large to be shown: %s × %s pixels.", model.Number(int(n.A)), model.Number(int(n.B)))
	case inspect.ImageBroken:
		return words.T("The picture cannot be read as %s.", n.Text)
	case inspect.ImageScaled:
		return words.T("Shown smaller than its %s × %s pixels.", model.Number(int(n.A)), model.Number(int(n.B)))
	default:
		return n.String()
	}
}

// imageWords are the caption of a picture.
func imageWords(v *inspect.View, size int64) string {
	return words.T("%s picture, %s × %s pixels, %s", v.Format, model.Number(v.Width), model.Number(v.Height), model.Size(size))
}
