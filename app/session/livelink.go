package session

import (
	"context"
	"slices"
	"time"

	"culvert/backend/wire"
)

// liveLink is a link that is being served.
type liveLink struct {
	Link
	cancel context.CancelFunc
	est    wire.Established
	since  time.Time
	// replaceAt is when a successor is due, by the wall clock, which goes on
	// while the machine sleeps; zero if never.
	replaceAt time.Time
	// from and end are its life, by the wall clock; end is zero if it has none.
	from, end time.Time
	// lasts: as things are, a successor would have to end when this one does, because
	// both end with the same token.
	lasts bool
	// leaving: the backend has said that it goes away.
	leaving bool
}

// resumable: another connection can have the same URL.
func (l *liveLink) resumable() bool {
	return l.est.Resume != "" && slices.Contains(l.est.Capabilities, wire.CapResume)
}

// endsWith: coming after old has gained nothing. A connection whose age is limited gains
// what has passed since old began; one that ends with its token gains nothing, but for
// what was lost on the way.
func (l *liveLink) endsWith(old *liveLink) bool {
	passed := l.from.Sub(old.from)
	return !old.end.IsZero() && passed > 2*renewInterval && l.end.Sub(old.end) < passed/2
}

// wantsToken: there is no use in a successor before there is another token.
func (l *liveLink) wantsToken() bool { return l.lasts && !l.Renewed() }
