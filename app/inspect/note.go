package inspect

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
	TooLong                       // only the first A bytes of what it decodes to are shown
	Malformed                     // it is not what its type says from byte A on: the rest is as it is
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
func (n Note) String() string { return "" }
