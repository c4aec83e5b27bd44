package inspect

import "fmt"

// NoteKind is what a note says. The numbers and the text that belong to it are in
// the comments.
type NoteKind int

// The notes.
const (
	Truncated     NoteKind = iota // only the first A of B bytes were kept
	Dropped                       // nothing was kept of B bytes
	Decoded                       // Text ("gzip") was undone: A bytes became B
	NotDecoded                    // Text ("gzip") could not be undone: shown as it travelled
	DecodedInPart                 // Text ("gzip") ends early or is broken after A decoded bytes
	TooLong                       // only the first A bytes of it, without its codings, are shown
	Malformed                     // it is no JSON from byte A on: the rest is as it is
	Charset                       // Text is the character set it was converted from
	TooManyRows                   // only the first A rows are shown
	ImageTooLarge                 // A × B pixels are not shown
	ImageBroken                   // it says that it is an image of the format Text, but cannot be read
	ImageScaled                   // A × B pixels, shown smaller
)

// Note is something to be said about a body.
type Note struct {
	Kind NoteKind
	A, B int64
	Text string
}

// String is the note in English.
func (n Note) String() string {
	switch n.Kind {
	case Truncated:
		return fmt.Sprintf("only the first %d of %d bytes were kept", n.A, n.B)
	case Dropped:
		return fmt.Sprintf("%d bytes passed, and none were kept", n.B)
	case Decoded:
		return fmt.Sprintf("%d bytes, %d with %s", n.B, n.A, n.Text)
	case NotDecoded:
		return fmt.Sprintf("this is no readable %s: shown as it travelled", n.Text)
	case DecodedInPart:
		return fmt.Sprintf("the %s data is broken, or ends, after %d bytes", n.Text, n.A)
	case TooLong:
		return fmt.Sprintf("only the first %d bytes are shown", n.A)
	case Malformed:
		return fmt.Sprintf("no JSON from byte %d on: the rest is shown as it is", n.A)
	case Charset:
		return "converted from " + n.Text
	case TooManyRows:
		return fmt.Sprintf("only the first %d rows are shown", n.A)
	case ImageTooLarge:
		return fmt.Sprintf("%d × %d pixels are too many to be shown", n.A, n.B)
	case ImageBroken:
		return fmt.Sprintf("this cannot be read as %s", n.Text)
	case ImageScaled:
		return fmt.Sprintf("%d × %d pixels, shown smaller", n.A, n.B)
	}
	return ""
}
