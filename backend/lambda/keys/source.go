package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Reader is what reading the keys needs of a client of the Systems Manager.
type Reader interface {
	GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
}

// ErrNone says that there are no keys, and so no agents: without keys nobody's
// identity, and no answer's origin, can be checked.
var ErrNone = errors.New("no keys")

const (
	// lifetime is how long keys that were read are used unasked, so that an
	// environment that lives on learns of a rotation.
	lifetime = 5 * time.Minute
	// lull is the least time between two reads, whatever is shown to the backend:
	// who sends forged IDs must not make it read all the time.
	lull = 10 * time.Second
	// patience bounds one read.
	patience = 5 * time.Second
)

// Config is where the keys are.
type Config struct {
	Client Reader
	// Name is the parameter's.
	Name string
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
	text  string    // what set was made of
	asked time.Time // when they were last asked for, successfully or not
	err   error     // of that time
}

// New makes a Source.
func New(cfg Config) (*Source, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("keys: no client of the Systems Manager")
	case cfg.Name == "":
		return nil, errors.New("keys: the name of the parameter with the keys is missing")
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
	age := s.age()
	if s.set == nil && age >= lull || age >= lifetime {
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
	s.asked = s.cfg.Now().Round(0)
	text, err := readParameter(ctx, s.cfg.Client, s.cfg.Name)
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
		set, err = v.set()
	}
	if err != nil {
		s.err = fmt.Errorf("%w: parameter %s: %w", ErrNone, s.cfg.Name, explained(err))
		s.cfg.Logger.Error("the keys cannot be read", "error", s.err, "in_use", s.set != nil)
		if s.set != nil {
			// Ask again soon, but not for every message.
			s.asked = s.asked.Add(lull - lifetime)
		}
		return
	}
	if s.set != nil {
		s.cfg.Logger.Info("the keys were rotated", "generation", v.Generation)
	}
	s.set, s.text, s.err = set, text, nil
}

// readParameter reads the keys' text.
func readParameter(ctx context.Context, client Reader, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	if out.Parameter == nil {
		return "", errMalformed
	}
	return aws.ToString(out.Parameter.Value), nil
}

// explained adds what to do about an error.
func explained(err error) error {
	var missing *types.ParameterNotFound
	switch {
	case errors.As(err, &missing):
		return errors.New("it does not exist: deploy the stack again with a higher KeysGeneration, which makes it anew")
	case errors.Is(err, errMalformed):
		return fmt.Errorf("%w: delete it and deploy the stack again with a higher KeysGeneration", err)
	}
	return err
}
