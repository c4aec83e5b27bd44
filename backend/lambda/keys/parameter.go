package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/backend/lambda/signed"
)

// What the Systems Manager may say of a parameter.
var (
	// ErrMissing: there is none of the name.
	ErrMissing = errors.New("the parameter does not exist")
	// ErrExists: there is one already, which was not to be overwritten.
	ErrExists = errors.New("the parameter exists already")
)

// errNoAnswer: the Systems Manager could not be reached, or says nothing.
var errNoAnswer = errors.New("the Systems Manager does not answer")

// Refusal is what else it may answer in place of what was asked for.
type Refusal struct {
	Status        int
	Kind, Message string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("the Systems Manager answers with status %d %s: %s", r.Status, r.Kind, r.Message)
}

// passes says that it may be gone soon: too many calls, or a fault on the other side.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
func (r *Refusal) passes() bool {
	return r.Status >= 500 || r.Status == http.StatusTooManyRequests ||
		strings.Contains(r.Kind, "Throttl") || strings.Contains(r.Kind, "TooManyRequests") || strings.Contains(r.Kind, "LimitExceeded")
}

// SSMConfig is how to reach the Systems Manager.
type SSMConfig struct {
	Region string
	// Endpoint is its base where it is not AWS's own.
	Endpoint    string
	Credentials aws.CredentialsProvider
	HTTP        aws.HTTPClient
}

// SSM reads and writes parameters of the Systems Manager. Each call is made once. It is
// safe for use by many goroutines.
type SSM struct {
	client *signed.Client
	url    string
}

// NewSSM makes an SSM. It calls nobody yet.
func NewSSM(cfg SSMConfig) (*SSM, error) {
	client, err := signed.New(signed.Config{Service: "ssm", Region: cfg.Region, Credentials: cfg.Credentials, HTTP: cfg.HTTP})
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(cfg.Endpoint, "/")
	if base == "" {
		base = "https://ssm." + cfg.Region + "." + signed.Domain(cfg.Region)
	}
	return &SSM{client: client, url: base + "/"}, nil
}

// GetParameter reads a parameter, decrypted; ErrMissing if there is none.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
func (s *SSM) GetParameter(ctx context.Context, name string) (value string, err error) {
	in := struct {
		Name           string
		WithDecryption bool
	}{name, true}
	var out struct{ Parameter struct{ Value *string } }
	if err := s.call(ctx, "GetParameter", in, &out); err != nil {
		return "", err
	}
	if out.Parameter.Value == nil {
		return "", errMalformed
	}
	return *out.Parameter.Value, nil
}

// PutParameter writes an encrypted parameter; ErrExists if there is one that it is not
// to overwrite.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
func (s *SSM) PutParameter(ctx context.Context, name, value, description string, overwrite bool) error {
	return s.call(ctx, "PutParameter", struct {
		Name, Value, Description, Type, Tier string
		Overwrite                            bool
	}{name, value, description, "SecureString", "Standard", overwrite}, nil)
}

// DeleteParameter deletes a parameter; ErrMissing if there is none.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
func (s *SSM) DeleteParameter(ctx context.Context, name string) error {
	return s.call(ctx, "DeleteParameter", struct{ Name string }{name}, nil)
}

// maxAnswer bounds an answer: a value of 4 KB, or 8 in the dearer tier, escaped.
const maxAnswer = 64 << 10

// call makes one call, in AWS's JSON protocol 1.1.
func (s *SSM) call(ctx context.Context, operation string, in, out any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(in); err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonSSM." + operation}}
	a, err := s.client.Post(ctx, s.url, header, text.Bytes(), maxAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", operation, errNoAnswer, err)
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("%s: %w", operation, refusal(a))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("%s: %w: %w", operation, errNoAnswer, errors.New("what it says cannot be read")) // no more of it: it is secret
	}
	return nil
}

// refusal reads an answer that is an error.
func refusal(a *signed.Answer) error {
	var said struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(a.Body, &said) // what has another form says nothing
	switch kind := a.Kind(said.Type); kind {
	case "ParameterNotFound":
		return ErrMissing
	case "ParameterAlreadyExists":
		return ErrExists
	default:
		const most = 300
		if len(said.Message) > most {
			said.Message = said.Message[:most]
		}
		return &Refusal{Status: a.Status, Kind: kind, Message: strings.ToValidUTF8(said.Message, "")}
	}
}
