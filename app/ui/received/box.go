// Package received keeps the notices that were sent to the user: a bounded list, in a
// file of the config folder, so that they can be read after a restart. What they say
// comes from elsewhere and is made harmless here.
package received

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/app/plain"
	"culvert/app/ui/model"
	"culvert/backend/wire"
)

// Bounds of what is kept.
const (
	// MaxKept is how many notices there are at most; the oldest go.
	MaxKept = 200
	// maxData bounds the data of all of them together, in bytes: the oldest lose theirs.
	maxData = 1 << 20

	maxTitle, maxText = 120, 2000 // in runes
	maxTunnel         = 100
	maxLines          = 100 // of a text
)

// pace is how long writing waits for more to write.
const pace = time.Second

// Box is the list. Its methods may be called by any goroutine and do not wait for the
// disk. Close must be called in the end.
type Box struct {
	path    string // "" writes nothing
	problem func(error)

	mu   sync.Mutex
	list []model.Received // newest first; replaced, never changed

	changed chan struct{} // has room for one mark
	end     chan struct{}
	wg      sync.WaitGroup
}

// Open reads the list at path; problem is told, by a goroutine of the box, that it
// could not be written. A list that makes no sense is put aside, and a new one begun:
// the error then is a *BrokenError. With any other error nothing will be written.
func Open(path string, problem func(error)) (*Box, error) {
	list, err := load(path)
	if err != nil && !isBroken(err) {
		path = ""
	}
	b := &Box{path: path, problem: problem, list: list, changed: make(chan struct{}, 1), end: make(chan struct{})}
	b.wg.Go(b.write)
	return b, err
}

// List is what there is, newest first. It must not be changed.
func (b *Box) List() []model.Received {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list
}

// Add takes a notice, unless it is there already: a queue may bring one twice. It
// returns what is kept of it.
func (b *Box) Add(n model.Received) (kept model.Received, added bool) {
	n = harmless(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	if n.ID != "" && slices.ContainsFunc(b.list, func(o model.Received) bool { return o.ID == n.ID }) {
		return n, false
	}
	b.replace(bound(append([]model.Received{n}, b.list...)))
	return n, true
}

// Read marks a notice as read, and "" all of them.
func (b *Box) Read(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, found := slices.Clone(b.list), false
	for i := range next {
		if (id == "" || next[i].ID == id) && !next[i].Read {
			next[i].Read, found = true, true
		}
	}
	if found {
		b.replace(next)
	}
}

// Clear removes all of them.
func (b *Box) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.list) > 0 {
		b.replace(nil)
	}
}

func (b *Box) replace(list []model.Received) {
	b.list = list
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// write writes the list after it has changed, but not for each of many changes.
func (b *Box) write() {
	for {
		select {
		case <-b.changed:
		case <-b.end:
			select { // a change that nobody has seen yet
			case <-b.changed:
				b.save()
			default:
			}
			return
		}
		select {
		case <-time.After(pace):
		case <-b.end:
		}
		b.save()
	}
}

func (b *Box) save() {
	if b.path == "" {
		return
	}
	if err := store(b.path, b.List()); err != nil {
		b.problem(err)
	}
}

// Close writes what was not written yet.
func (b *Box) Close() {
	close(b.end)
	b.wg.Wait()
}

// harmless makes a notice fit to be shown and kept.
func harmless(n model.Received) model.Received {
	n.ID = cutBytes(n.ID, wire.MaxNoticeID)
	n.Tunnel = plain.Cut(plain.Line(n.Tunnel), maxTunnel)
	n.Title = plain.Cut(plain.Line(n.Title), maxTitle)
	n.Text = lines(plain.Cut(n.Text, maxText))
	if len(n.Data) > wire.MaxNotice || !json.Valid(n.Data) {
		n.Data = nil
	}
	return n
}

func cutBytes(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

// lines makes each line of a text harmless, and leaves empty ones at its ends out.
func lines(text string) string {
	all := strings.SplitN(strings.ReplaceAll(text, "\r\n", "\n"), "\n", maxLines+1)
	if len(all) > maxLines {
		all[maxLines] = "…"
	}
	for i, line := range all {
		all[i] = strings.TrimRight(plain.Line(line), " ")
	}
	return strings.Trim(strings.Join(all, "\n"), "\n")
}

// bound leaves the oldest out, and the data of those that are old.
func bound(list []model.Received) []model.Received {
	list = list[:min(len(list), MaxKept)]
	total := 0
	for i := range list {
		if total += len(list[i].Data); total > maxData {
			list[i].Data = nil
		}
	}
	return list
}
