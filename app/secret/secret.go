// Package secret keeps the tokens of backend profiles in the system's keychain, or
// in files that only their owner reads where there is no keychain.
package secret

import (
	"context"
	"errors"
)

// What may go wrong. All errors of a Store are about people's next step.
var (
	// ErrNotFound: no token is kept for the profile.
	ErrNotFound = errors.New("no token is kept for this profile: enter it in the settings")
	// ErrWaiting: the keychain has not answered in time, most likely because it
	// waits for a person to unlock it. It may still do what it was asked for.
	ErrWaiting = errors.New("the keychain does not answer: unlock it if it asks you to, and try again")
)

// Config says where a Store keeps its secrets.
type Config struct {
	// Folder is for the files, if there is no keychain; made when needed.
	Folder string
}

// Place is where new tokens go.
type Place struct {
	Keychain bool
	// Text says so in plain words.
	Text string
}

// Store keeps one token for each profile. Its methods may be called by any
// goroutine, and block for up to some seconds: not for the one that draws.
type Store struct{ cfg Config }

// New makes a store. It asks nothing of the system yet.
func New(cfg Config) *Store { return &Store{cfg: cfg} }

// Get gives the token of a profile, or ErrNotFound.
func (s *Store) Get(ctx context.Context, profile string) (string, error) { return "", ErrNotFound }

// Set keeps the token of a profile, instead of an earlier one, and says where.
func (s *Store) Set(ctx context.Context, profile, token string) (Place, error) {
	return Place{}, ErrWaiting
}

// Delete forgets the token of a profile. One that is not there is no error.
func (s *Store) Delete(ctx context.Context, profile string) error { return nil }

// Place says where tokens go on this system, as it is now.
func (s *Store) Place(ctx context.Context) Place { return Place{} }

// Close ends what is under way, and waits for it as long as ctx allows.
func (s *Store) Close(ctx context.Context) error { return nil }
