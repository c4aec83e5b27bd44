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
	file := savedTunnels{Version: 1, Tunnels: []savedTunnel{}}
	for _, record := range all[:min(len(all), maxReservations)] {
		file.Tunnels = append(file.Tunnels, savedTunnel(record))
	}
	text, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("encoding reservations: %w", err)
	}
	if err := writeAtomically(d.file(reservationsFile), append(text, '\n')); err != nil {
		return fmt.Errorf("writing reservations: %w", err)
	}
	return nil
}

// readReservations needs the lock. A file that makes no sense is put aside, for a
// person to look at, and counts as empty.
func (d *stateDir) readReservations(log *slog.Logger, now time.Time) ([]tunnel.Record, error) {
	path := d.file(reservationsFile)
	text, err := readBounded(path, maxReservationsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading reservations: %w", err)
	}
	records, err := parseReservations(text, now)
	if err == nil {
		return records, nil
	}
	aside := path + ".broken-" + now.UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("putting the broken reservations file aside: %w", err)
	}
	log.Error("the file with reserved tunnel names is broken: it was put aside, and names are free until their owners return",
		"kept_as", aside, "cause", err)
	return nil, nil
}

func parseReservations(text []byte, now time.Time) ([]tunnel.Record, error) {
	var file savedTunnels
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version %d is not known", file.Version)
	}
	records := make([]tunnel.Record, 0, len(file.Tunnels))
	for _, saved := range file.Tunnels {
		switch {
		case tunnel.ValidID(saved.ID) != nil:
			return nil, fmt.Errorf("%q is no tunnel ID", saved.ID)
		case saved.Owner == "":
			return nil, fmt.Errorf("the tunnel %s has no owner", saved.ID)
		case saved.Epoch < 0 || saved.Epoch > tunnel.MaxEpoch:
			return nil, fmt.Errorf("the tunnel %s has the epoch %d", saved.ID, saved.Epoch)
		}
		record := tunnel.Record(saved)
		if record.Seen.After(now) { // the clock was set back
			record.Seen = now
		}
		if !record.Expired(now) {
			records = append(records, record)
		}
	}
	return records, nil
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
