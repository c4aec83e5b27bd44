// Package secret keeps the tokens of backend profiles in the system's keychain, or
// in files that only their owner reads where there is no keychain.
//
// A keychain may ask a person to unlock it and wait for ever, or just hang. So every
// call runs in a goroutine of its own, one at a time, and whoever waits for it is
// told after some seconds that the keychain waits as well.
package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What may go wrong. All errors of a Store say what to do, and none has a token in it.
var (
	// ErrNotFound: no token is kept for the profile.
	ErrNotFound = errors.New("no token is kept for this profile: enter it in the settings")
	// ErrWaiting: the keychain has not answered in time, most likely because it
	// waits for a person to unlock it. It may still do what it was asked for.
	ErrWaiting = errors.New("the keychain does not answer: unlock it if it asks you to, then try again")
)

// What a keychain answers besides.
var (
	errAbsent   = errors.New("there is no keychain on this system")
	errTooLarge = errors.New("the token is too long for this system's keychain")
)

// How long things may take.
const (
	// callLimit is how long callers wait.
	callLimit = 5 * time.Second
	// promptLimit is how long a person has for the keychain's question.
	promptLimit = 2 * time.Minute
)

// maxToken bounds a token, in bytes: more than any backend takes.
const maxToken = 16 << 10

// keychain is a system's own store of secrets. Its methods may block until ctx ends,
// and on some systems for longer.
type keychain interface {
	// Get gives ErrNotFound if there is none. All give errAbsent without a keychain.
	Get(ctx context.Context, account string) (string, error)
	// Set gives errTooLarge for what it cannot hold.
	Set(ctx context.Context, account, label, secret string) error
	Delete(ctx context.Context, account string) error
	// Present asks for the keychain itself, without unlocking it.
	Present(ctx context.Context) error
}

// service is what the keychain's entries belong to.
const service = "culvert"

// Config says where a Store keeps its secrets.
type Config struct {
	// Folder is an absolute path for the files where there is no keychain; it is made
	// when needed. It also tells the entries of several installations apart.
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
type Store struct {
	files files
	chain keychain
	limit time.Duration

	ctx    context.Context
	cancel context.CancelFunc
	turn   chan struct{} // held by the call under way
	stuck  atomic.Bool   // nobody waits for that call any more
	mu     sync.Mutex    // no call begins once Close has
	wg     sync.WaitGroup
}

// New makes a store. It asks nothing of the system yet.
func New(cfg Config) *Store { return newStore(cfg, systemKeychain()) }

func newStore(cfg Config, chain keychain) *Store {
	s := &Store{files: files{cfg.Folder}, chain: chain, limit: callLimit, turn: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// account is what the keychain's entry of a profile is called.
func (s *Store) account(profile string) string { return profile + " in " + s.files.folder }

// Get gives the token of a profile, or ErrNotFound.
func (s *Store) Get(ctx context.Context, profile string) (string, error) {
	// Where there is a file, there was no keychain when the token was entered, or
	// somebody wants it so. The keychain need not be bothered.
	token, err := s.files.get(profile)
	if !errors.Is(err, ErrNotFound) {
		return token, err
	}
	got := make(chan string, 1)
	err = s.call(ctx, func(ctx context.Context) error {
		token, err := s.chain.Get(ctx, s.account(profile))
		got <- token
		return err
	})
	switch {
	case errors.Is(err, errAbsent):
		return "", ErrNotFound
	case err != nil:
		return "", said(err)
	}
	return <-got, nil
}

// Set keeps the token of a profile, instead of an earlier one, and says where.
func (s *Store) Set(ctx context.Context, profile, token string) (Place, error) {
	if token = strings.TrimSpace(token); token == "" || len(token) > maxToken || strings.ContainsAny(token, "\r\n\x00") {
		return Place{}, errors.New("this is no token: it is empty, too long, or of more than one line")
	}
	err := s.call(ctx, func(ctx context.Context) error {
		if err := s.chain.Set(ctx, s.account(profile), "Culvert: token of the profile "+profile, token); err != nil {
			return err
		}
		return s.files.delete(profile) // one that is older
	})
	switch {
	case err == nil:
		return s.inKeychain(), nil
	case !errors.Is(err, errAbsent) && !errors.Is(err, errTooLarge):
		return Place{}, said(err)
	}
	if err := s.files.set(profile, token); err != nil {
		return Place{}, err
	}
	return s.inFiles(err), nil
}

// Delete forgets the token of a profile. One that is not there is no error.
func (s *Store) Delete(ctx context.Context, profile string) error {
	if err := s.files.delete(profile); err != nil {
		return err
	}
	err := s.call(ctx, func(ctx context.Context) error { return s.chain.Delete(ctx, s.account(profile)) })
	if err == nil || errors.Is(err, errAbsent) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return said(err)
}

// Place says where tokens go on this system, as it is now.
func (s *Store) Place(ctx context.Context) Place {
	err := s.call(ctx, s.chain.Present)
	switch {
	case err == nil:
		return s.inKeychain()
	case errors.Is(err, errAbsent):
		return s.inFiles(err)
	}
	return Place{Keychain: true, Text: "Tokens belong into this system's keychain, but " + said(err).Error() + "."}
}

func (s *Store) inKeychain() Place {
	return Place{Keychain: true, Text: "Tokens are kept in this system's keychain."}
}

func (s *Store) inFiles(why error) Place {
	reason := "There is no keychain on this system"
	if errors.Is(why, errTooLarge) {
		reason = "This token is too long for the system's keychain"
	}
	return Place{Text: fmt.Sprintf("%s: tokens are kept unencrypted in %s, in files that only you can read.", reason, s.files.folder)}
}

// said makes of a keychain's error one that says whose it is.
func said(err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrWaiting) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("the keychain failed: %w", err)
}

// call runs f after all calls before it, and waits for as long as callers wait. The
// ctx of f outlives that, for a person who is slower than the caller.
func (s *Store) call(ctx context.Context, f func(context.Context) error) error {
	limit := time.NewTimer(s.limit)
	defer limit.Stop()
	select {
	case s.turn <- struct{}{}:
	default:
		if s.stuck.Load() {
			return ErrWaiting // and so would this call
		}
		select {
		case s.turn <- struct{}{}:
		case <-limit.C:
			return ErrWaiting
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan error, 1)
	runs, cancel := context.WithTimeout(s.ctx, promptLimit)
	s.mu.Lock()
	s.wg.Go(func() {
		defer func() {
			cancel()
			s.stuck.Store(false)
			<-s.turn
		}()
		err := runs.Err()
		if err == nil {
			err = guarded(runs, f)
		}
		done <- err
	})
	s.mu.Unlock()
	select {
	case err := <-done:
		if errors.Is(err, context.DeadlineExceeded) {
			err = ErrWaiting
		}
		return err
	case <-limit.C:
		s.stuck.Store(true)
		return ErrWaiting
	case <-ctx.Done():
		cancel()
		return ctx.Err()
	}
}

// guarded makes an error of a panic: what comes over a bus may surprise a library.
func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it gave an answer that makes no sense")
		}
	}()
	return f(ctx)
}

// Close ends what is under way, and waits for it as long as ctx allows: some systems
// cannot be told to end.
func (s *Store) Close(ctx context.Context) error {
	s.cancel() // a call that begins now ends at once
	ended := make(chan struct{})
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
