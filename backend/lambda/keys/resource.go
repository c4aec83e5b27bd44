package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
)

// Keeper is what making and rotating the keys needs of a client of the Systems Manager.
type Keeper interface {
	Reader
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
	DeleteParameter(context.Context, *ssm.DeleteParameterInput, ...func(*ssm.Options)) (*ssm.DeleteParameterOutput, error)
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
		v, err = r.ensurePatiently(ctx, q.RequestType, generation)
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

// ensurePatiently is ensure, once the function has its rights and its turn.
func (r *Resource) ensurePatiently(ctx context.Context, request string, generation int64) (value, error) {
	ctx, cancel := context.WithTimeout(ctx, deniedFor)
	defer cancel()
	for {
		v, err := r.ensure(ctx, request, generation)
		if err == nil || !denied(err) && !passing(err) {
			return v, err
		}
		r.log.Info("the Systems Manager refuses, perhaps not for long", "error", err)
		timer := time.NewTimer(deniedPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return v, err
		}
	}
}

func denied(err error) bool {
	var failure smithy.APIError
	return errors.As(err, &failure) && failure.ErrorCode() == "AccessDeniedException"
}

// ensure sees to it that there are keys of the generation, or a later one. Keys that
// an earlier stack has left are kept as they are.
func (r *Resource) ensure(ctx context.Context, request string, generation int64) (value, error) {
	text, err := readParameter(ctx, r.client, r.name)
	var missing *types.ParameterNotFound
	if errors.As(err, &missing) {
		next := fresh(nil, generation)
		err = r.put(ctx, next, false)
		var exists *types.ParameterAlreadyExists
		if err == nil {
			r.log.Info("keys made", "generation", generation)
			return next, nil
		} else if !errors.As(err, &exists) {
			return value{}, err
		}
		// Another invocation, for the same request, was faster.
		text, err = readParameter(ctx, r.client, r.name)
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
	_, err := r.client.PutParameter(ctx, &ssm.PutParameterInput{
		Name: &r.name, Value: aws.String(v.text()), Type: types.ParameterTypeSecureString, Tier: types.ParameterTierStandard,
		Overwrite:   &overwrite,
		Description: aws.String("Culvert's keys. Whoever can read them can be any agent; rotate them by the stack's KeysGeneration."),
	})
	if err != nil {
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
	_, err := r.client.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &r.name})
	var missing *types.ParameterNotFound
	if err != nil && !errors.As(err, &missing) {
		return fmt.Errorf("keys in parameter %s cannot be deleted: %w", r.name, err)
	}
	r.log.Info("keys deleted")
	return nil
}
