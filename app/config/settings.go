package config

import (
	"errors"
	"fmt"
	"time"
)

// Tunnel is one that is remembered: it has a card in the window from the start on.
type Tunnel struct {
	// Target is the local service as a person writes it, such as "5173".
	Target string `toml:"target"`
	// Name is the wanted tunnel ID; "" lets the backend choose.
	Name string `toml:"name"`
	// ID is the one that the backend has chosen the last time, where there is no Name: it
	// is asked for again, so that the URL stays.
	ID string `toml:"id"`
	// Profile is a name among Config.Profiles; "" is the relay that is built in.
	Profile string `toml:"profile"`
	// HostHeader and Timeout are the tunnel's own; "" and 0 are the defaults.
	HostHeader string   `toml:"host_header"`
	Timeout    Duration `toml:"timeout"`
	// Start: the tunnel is opened when Culvert starts.
	Start bool `toml:"start"`
}

// Notices are the kinds of desktop notifications that are wanted.
type Notices struct {
	Lost         bool `toml:"lost"`          // a tunnel lost its backend
	Restored     bool `toml:"restored"`      // and has it again
	FirstRequest bool `toml:"first_request"` // the first visitor of a tunnel
	Messages     bool `toml:"messages"`      // what a backend has to say
}

// History says what is kept of the requests.
type History struct {
	Enabled bool `toml:"enabled"`
	// Redact: what looks like a secret is not kept.
	Redact  bool `toml:"redact"`
	MaxMB   int  `toml:"max_mb"`
	MaxDays int  `toml:"max_days"`
}

// The most that History's limits may be: a terabyte, and ten years.
const (
	maxHistoryMB   = 1 << 20
	maxHistoryDays = 3653
)

// Defaults are of tunnels that do not say otherwise. The profile among them is
// Config.Profile.
type Defaults struct {
	HostHeader string   `toml:"host_header"`
	Timeout    Duration `toml:"timeout"`
}

// Default is the configuration of an empty file.
func Default() *Config {
	return &Config{
		Notices: Notices{Lost: true, Restored: true, FirstRequest: true, Messages: true},
		History: History{Enabled: true, Redact: true, MaxMB: 200, MaxDays: 7},
	}
}

// Duration is written as "30s" or "1m30s".
type Duration time.Duration

// UnmarshalText reads the duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New(`want a duration such as "30s" or "2m", in quotes`)
	}
	if v < 0 {
		return fmt.Errorf("a duration of %v: it cannot be negative", v)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
