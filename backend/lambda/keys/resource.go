package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
)

// Keeper is what making and rotating the keys needs of an *SSM.
type Keeper interface {
	Reader
	PutParameter(ctx context.Context, name, value, description string, overwrite bool) error
	DeleteParameter(ctx context.Context, name string) error
}

// Resource is the custom resource of the stack that the keys are. Its properties:
//
//   - Parameter: the name of the parameter, which must be the function's own.
//   - Generation: a number. A higher one than that of the keys rotates them. It is
//     kept beside them, so that neither a retry nor a rollback rotates them again.
//   - OnDelete: "delete" (also if it is missing) or "retain".
type Resource struct {
	client Keeper
	name   string
	log    *slog.Logger
}

// NewResource makes the resource for the parameter name, the only one that it touches.
func NewResource(client Keeper, name string, log *slog.Logger) (*Resource, error) {
	if client == nil || name == "" {
		return nil, errors.New("keys: a client of the Systems Manager and the name of the parameter are needed")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Resource{client: client, name: name, log: log}, nil
}

// Handle does what CloudFormation wants. Its outcome holds no secret.
func (r *Resource) Handle(ctx context.Context, q *event.Resource) event.Outcome {
	if q.RequestType == event.Delete {
		return event.Outcome{PhysicalID: q.PhysicalID, Err: r.delete(ctx, q)}
	}
	generation, err := r.wanted(q)
	var v value
	if err == nil {
		err = r.patiently(ctx, func(ctx context.Context) (err error) {
			v, err = r.ensure(ctx, q.RequestType, generation)
			return err
		})
	}
	if err != nil {
		r.log.Error("the keys could not be made", "request", q.RequestType, "error", err)
		// Without a name of its own, the resource that failed is nothing to delete.
		return event.Outcome{Err: fmt.Errorf("keys in parameter %s: %w", r.name, err)}
	}
	return event.Outcome{PhysicalID: r.name, Data: map[string]string{"Generation": strconv.FormatInt(v.Generation, 10)}}
}

// wanted reads the properties.
func (r *Resource) wanted(q *event.Resource) (generation int64, err error) {
	if name := property(q, "Parameter"); name != r.name {
		return 0, fmt.Errorf("the template's Parameter is %q, but this function keeps another one: give both the same name", name)
	}
	switch on := property(q, "OnDelete"); on {
	case "", "delete", "retain":
	default:
		return 0, fmt.Errorf("the template's OnDelete is %q: it must be delete or retain", on)
	}
	text := property(q, "Generation")
	if text == "" {
		return 1, nil
	}
	generation, err = strconv.ParseInt(text, 10, 64)
	if err != nil || generation < 1 {
		return 0, fmt.Errorf("the template's Generation is %q: it must be a number from 1 up", text)
	}
	return generation, nil
}

func property(q *event.Resource, name string) string {
	s, _ := q.Properties[name].(string)
	return s
}

// A role that was made a moment ago may not have its rights yet
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html): at the first
// deployment, the function runs seconds after its role was made. At later ones, the
// other functions may be using up what the account may read.
const (
	deniedFor   = 20 * time.Second
	deniedPause = 2 * time.Second
)

// patiently does something once the function has its rights and its turn.
func (r *Resource) patiently(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, deniedFor)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil || !denied(err) && !passing(err) {
			return err
		}
		r.log.Info("the Systems Manager refuses, perhaps not for long", "error", err)
		timer := time.NewTimer(deniedPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func denied(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Kind == "AccessDeniedException"
}

// ensure sees to it that there are keys of the generation, or a later one. Keys that
// an earlier stack has left are kept as they are.
func (r *Resource) ensure(ctx context.Context, request string, generation int64) (value, error) {
	text, err := r.client.GetParameter(ctx, r.name)
	if errors.Is(err, ErrMissing) {
		next := fresh(nil, generation)
		err = r.put(ctx, next, false)
		if err == nil {
			r.log.Info("keys made", "generation", generation)
			return next, nil
		} else if !errors.Is(err, ErrExists) {
			return value{}, err
		}
		// Another invocation, for the same request, was faster.
		text, err = r.client.GetParameter(ctx, r.name)
	}
	if err != nil {
		return value{}, fmt.Errorf("it cannot be read: %w", err)
	}
	old, err := parse(text)
	if err == nil {
		_, err = old.set(auth.NewSecretVerifier)
	}
	if err != nil {
		return value{}, fmt.Errorf("%w: give the stack another parameter, or delete this one", err)
	}
	if request == event.Create || generation <= old.Generation {
		r.log.Info("keys kept", "generation", old.Generation)
		return old, nil
	}
	next := fresh(&old, generation)
	if err := r.put(ctx, next, true); err != nil {
		return value{}, err
	}
	r.log.Info("keys rotated", "generation", generation)
	return next, nil
}

func (r *Resource) put(ctx context.Context, v value, overwrite bool) error {
	const description = "Culvert's keys. Whoever can read them can be any agent; rotate them by the stack's KeysGeneration."
	if err := r.client.PutParameter(ctx, r.name, v.text(), description, overwrite); err != nil {
		return fmt.Errorf("it cannot be written: %w", err)
	}
	return nil
}

func (r *Resource) delete(ctx context.Context, q *event.Resource) error {
	// A resource that never came to be, or of a parameter that this function does
	// not keep any more, is none of its business.
	if q.PhysicalID != r.name || property(q, "OnDelete") == "retain" {
		r.log.Info("keys left alone", "request", q.RequestType)
		return nil
	}
	err := r.patiently(ctx, func(ctx context.Context) error { return r.client.DeleteParameter(ctx, r.name) })
	if err != nil && !errors.Is(err, ErrMissing) {
		return fmt.Errorf("keys in parameter %s cannot be deleted: %w", r.name, err)
	}
	r.log.Info("keys deleted")
	return nil
}
