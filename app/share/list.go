package share

import (
	"encoding/json"
	"errors"
)

// list is an array of an archive, of which so many elements are read as will be
// used: they take many times the room that they have in the file.
type list[T any] struct {
	kept []T
	left int // elements that were not read
}

func (l *list[T]) add(v T) { l.kept = append(l.kept, v) }

// MarshalJSON implements json.Marshaler.
func (l list[T]) MarshalJSON() ([]byte, error) {
	if l.kept == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(l.kept)
}

// IsZero is for fields that are left out if they are empty.
func (l list[T]) IsZero() bool { return len(l.kept) == 0 }

// read is UnmarshalJSON for lists of a length.
func (l *list[T]) read(p []byte, most int) error {
	*l = list[T]{}
	for element := range elements(p) {
		if len(l.kept) >= most {
			l.left++
			continue
		}
		var v T
		var wrongType *json.UnmarshalTypeError
		if err := json.Unmarshal(element, &v); err != nil && !errors.As(err, &wrongType) {
			return err
		}
		l.kept = append(l.kept, v)
	}
	return nil
}

// elements are those of an array in valid JSON, and none of anything else.
func elements(p []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		if len(p) < 2 || p[0] != '[' {
			return
		}
		start, deep, some := 1, 0, false
		for i := 1; i < len(p); i++ {
			switch p[i] {
			case '"':
				for i++; i < len(p) && p[i] != '"'; i++ {
					if p[i] == '\\' {
						i++
					}
				}
				some = true
			case '{', '[':
				deep++
			case '}', ']':
				if deep--; deep < 0 {
					if some {
						yield(p[start:i])
					}
					return
				}
				some = true
			case ',':
				if deep == 0 {
					if !yield(p[start:i]) {
						return
					}
					start, some = i+1, false
				}
			case ' ', '\t', '\r', '\n':
			default:
				some = true
			}
		}
	}
}

// The lists of an archive. What nobody reads, because it stands elsewhere too, is
// only written.
type (
	fieldList struct{ list[harPair] }
	unread    struct{ list[harPair] }
	frameList struct{ list[harFrame] }
	eventList struct{ list[harEvent] }
)

// UnmarshalJSON implements json.Unmarshaler.
func (l *fieldList) UnmarshalJSON(p []byte) error { return l.read(p, maxFields) }

// UnmarshalJSON implements json.Unmarshaler.
func (l *unread) UnmarshalJSON([]byte) error { return nil }

// UnmarshalJSON implements json.Unmarshaler.
func (l *frameList) UnmarshalJSON(p []byte) error { return l.read(p, maxMessages) }

// UnmarshalJSON implements json.Unmarshaler.
func (l *eventList) UnmarshalJSON(p []byte) error { return l.read(p, maxMessages) }
