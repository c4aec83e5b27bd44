package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"culvert/backend/tunnel"
)

const (
	// maxReservations bounds the file, in records.
	maxReservations      = 10_000
	maxReservationsBytes = 16 << 20
	// saveEvery is the least time between two writes of the file.
	saveEvery = time.Second
	// refreshEvery is how often the file learns that live tunnels still live.
	refreshEvery = 10 * time.Minute
)

// savedTunnels is the reservations file.
type savedTunnels struct {
	Version int           `json:"version"`
	Tunnels []savedTunnel `json:"tunnels"`
}

type savedTunnel struct {
	ID       string    `json:"id"`
	Owner    string    `json:"owner"`
	Epoch    int64     `json:"epoch"`
	Instance string    `json:"instance,omitempty"`
	Named    bool      `json:"named,omitempty"`
	Live     bool      `json:"live,omitempty"`
	Seen     time.Time `json:"seen"`
}

// loadReservations reads what earlier processes knew. A tunnel that was live when
// its relay was killed counts as having been live just now.
func (d *stateDir) loadReservations(log *slog.Logger, now time.Time) ([]tunnel.Record, error) {
	unlock, err := d.lock.Lock()
	if err != nil {
		return nil, fmt.Errorf("locking the relay's state folder: %w", err)
	}
	defer unlock()
	records, err := d.readReservations(log, now)
	for i := range records {
		if records[i].Live {
			records[i].Live, records[i].Seen = false, now
		}
	}
	return records, err
}

// saveReservations writes own, this process's records, beside those of other
// processes that share the folder.
func (d *stateDir) saveReservations(log *slog.Logger, own []tunnel.Record, now time.Time) error {
	unlock, err := d.lock.Lock()
	if err != nil {
		return fmt.Errorf("locking the relay's state folder: %w", err)
	}
	defer unlock()
	others, err := d.readReservations(log, now)
	if err != nil {
		return err
	}
	isOwn := make(map[string]bool, len(own))
	for _, record := range own {
		isOwn[record.ID] = true
	}
	all := own
	for _, record := range others {
		if !isOwn[record.ID] {
			all = append(all, record)
		}
	}
	sortByWorth(all)
	return writeReservations(d.file(reservationsFile), all[:min(len(all), maxReservations)])
}

func writeReservations(path string, records []tunnel.Record) error {
	file := savedTunnels{Version: 1, Tunnels: []savedTunnel{}}
	for _, record := range records {
		file.Tunnels = append(file.Tunnels, savedTunnel(record))
	}
	text, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("encoding reservations: %w", err)
	}
	if err := writeAtomically(path, append(text, '\n')); err != nil {
		return fmt.Errorf("writing reservations: %w", err)
	}
	return nil
}

// errNewer: the file is not for this version to read, and so not to write either.
var errNewer = errors.New("the file with reserved tunnel names was written by another version of Culvert: use that one, or move the file away, which frees all names")

// readReservations needs the lock. Records that make no sense are dropped, and the
// file is kept aside for a person to look at. One that is no such file at all is put
// aside, and counts as empty.
func (d *stateDir) readReservations(log *slog.Logger, now time.Time) ([]tunnel.Record, error) {
	path := d.file(reservationsFile)
	text, err := readBounded(path, maxReservationsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading reservations: %w", err)
	}
	records, bad, err := parseReservations(text, now)
	if err == nil && bad == nil {
		return records, nil
	}
	if errors.Is(err, errNewer) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	aside := path + ".broken-" + now.UTC().Format("20060102T150405.000000000Z")
	if err == nil {
		if err := writeAtomically(aside, text); err != nil {
			return nil, fmt.Errorf("keeping a copy of the damaged reservations file: %w", err)
		}
		log.Error("the file with reserved tunnel names has records that make no sense: these names are free, the others stay reserved",
			"kept_as", aside, "cause", bad)
		return records, writeReservations(path, records) // or each reading would keep a copy
	}
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("putting the broken reservations file aside: %w", err)
	}
	log.Error("the file with reserved tunnel names is broken: it was put aside, and names are free until their owners return",
		"kept_as", aside, "cause", err)
	return nil, nil
}

// parseReservations gives the records of a file; bad says what is wrong with the
// first of those that were dropped.
func parseReservations(text []byte, now time.Time) (records []tunnel.Record, bad, err error) {
	var file struct { // as savedTunnels, but each record fails by itself
		Version int               `json:"version"`
		Tunnels []json.RawMessage `json:"tunnels"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, nil, err
	}
	switch file.Version {
	case 1:
	case 0:
		return nil, nil, errors.New("it has no version")
	default:
		return nil, nil, fmt.Errorf("%w (version %d)", errNewer, file.Version)
	}
	records = make([]tunnel.Record, 0, len(file.Tunnels))
	for _, text := range file.Tunnels {
		var saved savedTunnel
		wrong := json.Unmarshal(text, &saved)
		switch {
		case wrong != nil:
		case tunnel.ValidID(saved.ID) != nil:
			wrong = fmt.Errorf("%q is no tunnel ID", saved.ID)
		case saved.Owner == "":
			wrong = fmt.Errorf("the tunnel %s has no owner", saved.ID)
		case saved.Epoch < 0 || saved.Epoch > tunnel.MaxEpoch:
			wrong = fmt.Errorf("the tunnel %s has the epoch %d", saved.ID, saved.Epoch)
		}
		if wrong != nil {
			if bad == nil {
				bad = wrong
			}
			continue
		}
		record := tunnel.Record(saved)
		if record.Seen.After(now) { // the clock was set back
			record.Seen = now
		}
		if !record.Expired(now) {
			records = append(records, record)
		}
	}
	return records, bad, nil
}

// keepReservations writes the file whenever something changes, until ctx ends, and
// then a last time.
func (s *Server) keepReservations(ctx context.Context) {
	save := func() (anyLive bool) {
		now := time.Now()
		own, anyLive := s.registry.kept(now)
		if err := s.state.saveReservations(s.log, own, now); err != nil {
			s.log.Error("reserved tunnel names could not be saved: they may be lost when the relay restarts", "cause", err)
		}
		return anyLive
	}
	refresh := time.NewTicker(refreshEvery)
	defer refresh.Stop()
	anyLive := false
	for {
		select {
		case <-s.dirty:
		case <-refresh.C:
			if !anyLive {
				continue
			}
		case <-ctx.Done():
			if len(s.dirty) > 0 {
				save()
			}
			return
		}
		anyLive = save()
		select {
		case <-time.After(saveEvery):
		case <-ctx.Done():
		}
	}
}
