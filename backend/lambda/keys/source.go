package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"culvert/backend/auth"
)

// Reader is what reading the keys needs of an *SSM.
type Reader interface {
	GetParameter(ctx context.Context, name string) (value string, err error)
}

// ErrNone says that there are no keys, and so no agents: without keys nobody's
// identity, and no answer's origin, can be checked.
var ErrNone = errors.New("no keys")

const (
	// lifetime is how long keys that were read are used unasked, at most, so that an
	// environment that lives on learns of a rotation. It is shorter by up to spread,
	// or environments that a burst has started together would all ask again together.
	lifetime = 5 * time.Minute
	spread   = time.Minute
	// lull is the least time between two reads, whatever is shown to the backend:
	// who sends forged IDs must not make it read all the time.
	lull = 10 * time.Second

	// An account may read its parameters 40 times a second, all functions together,
	// unless it pays for more. A burst of visitors starts more environments than that,
	// on both sides, and what an agent sends while there are no keys is lost: so the
	// first read goes on until its turn has come. Who has keys does not wait long for
	// others. https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm
	firstPatience = 12 * time.Second
	laterPatience = time.Second
	firstPause    = 100 * time.Millisecond // between tries at most, doubled each time
	longestPause  = 2 * time.Second
	// memory is how long it is remembered that a first read was in vain for a reason
	// that passes. Others are remembered for a lull.
	memory = time.Second
)

// Config is where the keys are.
type Config struct {
	Client Reader
	// Name is the parameter's.
	Name string
	// Tokens makes the verifier of agents' tokens from the secrets that they may be
	// signed with, whenever these change; auth.NewSecretVerifier by default. For tokens
	// that are signed with other keys as well, give that of a verifier that has these
	// ((*auth.Verifier).WithSecrets), so that what it knows of them is kept.
	Tokens func(secrets ...[]byte) (*auth.Verifier, error)
	// Now is the time; time.Now by default.
	Now    func() time.Time
	Logger *slog.Logger
}

// Source gives the keys. It reads them when they are first needed, never ahead, and
// again now and then. It is safe for use by many goroutines.
type Source struct {
	cfg Config

	mu    sync.Mutex
	set   *Set
	text  string        // what set was made of
	asked time.Time     // when they were last asked for, successfully or not
	holds time.Duration // how long what came of it is good for
	err   error         // of that time
}

// New makes a Source.
func New(cfg Config) (*Source, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("keys: no client of the Systems Manager")
	case cfg.Name == "":
		return nil, errors.New("keys: the name of the parameter with the keys is missing")
	}
	if cfg.Tokens == nil {
		cfg.Tokens = auth.NewSecretVerifier
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{cfg: cfg}, nil
}

// Get gives the keys, at most some minutes old. The error wraps ErrNone. Keys that
// were read once stay in use when they cannot be read again.
func (s *Source) Get(ctx context.Context) (*Set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.age() >= s.holds {
		s.read(ctx)
	}
	if s.set == nil {
		return nil, s.err
	}
	return s.set, nil
}

// Reread gives the keys after something was shown that have is no key for: somebody
// may have been quicker to learn of a rotation. changed says that other keys than
// have are returned. It asks at most every ten seconds.
func (s *Source) Reread(ctx context.Context, have *Set) (set *Set, changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == have && s.age() >= lull {
		s.read(ctx)
	}
	if s.set == nil {
		return nil, false, s.err
	}
	return s.set, s.set != have, nil
}

// age is by the clock on the wall: the other one may stand still while the
// environment is frozen.
func (s *Source) age() time.Duration {
	if s.asked.IsZero() {
		return 1 << 62
	}
	if age := s.cfg.Now().Round(0).Sub(s.asked); age >= 0 {
		return age
	}
	return 1 << 62 // the clock was set back
}

func (s *Source) read(ctx context.Context) {
	text, err := s.fetch(ctx)
	s.asked = s.cfg.Now().Round(0)
	s.holds = lifetime - rand.N(spread)
	if err == nil && text == s.text {
		s.err = nil
		return // the same keys stay the same Set
	}
	var v value
	var set *Set
	if err == nil {
		v, err = parse(text)
	}
	if err == nil {
		set, err = v.set(s.cfg.Tokens)
	}
	if err != nil {
		s.err = fmt.Errorf("%w: parameter %s: %w", ErrNone, s.cfg.Name, explained(err))
		s.cfg.Logger.Error("the keys cannot be read", "error", s.err, "in_use", s.set != nil)
		s.holds = lull
		if s.set == nil && passing(err) {
			s.holds = memory
		}
		return
	}
	if s.set != nil {
		s.cfg.Logger.Info("the keys were rotated", "generation", v.Generation)
	}
	s.set, s.text, s.err = set, text, nil
}

// fetch reads the keys' text, and tries again what may succeed later. The pauses are
// random, so that environments that were refused together do not come again together.
func (s *Source) fetch(ctx context.Context) (string, error) {
	patience := firstPatience
	if s.set != nil {
		patience = laterPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		text, err := s.cfg.Client.GetParameter(ctx, s.cfg.Name)
		if err == nil || !passing(err) {
			return text, err
		}
		timer := time.NewTimer(rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", err // says more than that time is up
		}
	}
}

// passing says of an error that it may be gone soon: too many calls, a fault on the
// other side or on the way, or that there was no time.
func passing(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.passes() ||
		errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// explained adds what to do about an error.
func explained(err error) error {
	switch {
	case errors.Is(err, ErrMissing):
		return errors.New("it does not exist: deploy the stack again with a higher KeysGeneration, which makes it anew")
	case errors.Is(err, errMalformed):
		return fmt.Errorf("%w: delete it and deploy the stack again with a higher KeysGeneration", err)
	}
	return err
}
