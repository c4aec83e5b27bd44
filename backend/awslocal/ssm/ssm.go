// Package ssm stands in for the Parameter Store of AWS Systems Manager: the calls
// by which a function reads, makes and deletes its parameters, with the store's own
// errors and limits. It keeps everything in memory and checks no signature: that is
// for whoever stands in front of it.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html
package ssm

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of the standard tier, and of one call.
// https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm
const (
	maxValue      = 4 << 10
	maxParameters = 10_000
	maxName       = 1011
	maxNames      = 10
	maxRequest    = 64 << 10
	// Reads of all parameters, a second, in an account that has not turned on (and
	// does not pay for) a higher throughput.
	readRate = 40
)

// Store is a Parameter Store. It is an http.Handler for SDKs.
type Store struct {
	region, account string
	reads           *rate.Limiter

	mu         sync.Mutex
	parameters map[string]*parameter
}

type parameter struct {
	name, kind, value string
	version           int64
	changed           time.Time
}

// New is an empty store of an account in a region.
func New(region, account string) *Store {
	return &Store{region: region, account: account, parameters: map[string]*parameter{}, reads: rate.NewLimiter(readRate, readRate)}
}

// Value is a parameter's, decrypted.
func (s *Store) Value(name string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parameters[name]
	if !ok {
		return "", false
	}
	return p.value, true
}

// Set writes a parameter as PutParameter does, and overwrites.
func (s *Store) Set(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, failed := s.put(input{Name: name, Value: value, Type: "SecureString", Overwrite: true}); failed != nil {
		return failed
	}
	return nil
}

// failure is an exception of the service.
type failure struct {
	status        int
	kind, message string
}

func (f *failure) Error() string { return f.kind + ": " + f.message }

func refused(kind, format string, args ...any) *failure {
	return &failure{http.StatusBadRequest, kind, fmt.Sprintf(format, args...)}
}

const target = "AmazonSSM."

// ServeHTTP answers one call of AWS's JSON protocol 1.1.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.call(w, r)
	status := http.StatusOK
	if err != nil {
		status = err.status
		answer = map[string]string{"__type": err.kind, "message": err.message}
	}
	text, _ := json.Marshal(answer) // of strings, numbers and slices
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", rand.Text())
	w.WriteHeader(status)
	w.Write(text)
}

func (s *Store) call(w http.ResponseWriter, r *http.Request) (any, *failure) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if r.Method != http.MethodPost || !ok {
		return nil, &failure{http.StatusNotFound, "UnknownOperationException", "no operation of the Systems Manager was called"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, &failure{http.StatusRequestEntityTooLarge, "SerializationException", "the request is too large"}
	}
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, refused("SerializationException", "the request is not the JSON of this operation")
	}
	if strings.HasPrefix(name, "Get") && !s.reads.Allow() {
		return nil, refused("ThrottlingException", "Rate exceeded")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case "GetParameter":
		return s.get(in)
	case "GetParameters":
		return s.getSeveral(in)
	case "PutParameter":
		return s.put(in)
	case "DeleteParameter":
		return s.delete(in)
	default:
		return nil, &failure{http.StatusNotImplemented, "UnknownOperationException", "this stand-in has no operation " + name}
	}
}

// input is what the operations take, all of them together.
type input struct {
	Name           string
	Names          []string
	Value          string
	Type           string
	Tier           string
	Overwrite      bool
	WithDecryption bool
}

// shown is a parameter in an answer. Times are seconds, in this protocol.
type shown struct {
	Name, Type, Value string
	Version           int64
	LastModifiedDate  float64
	ARN               string
	DataType          string
}

func (s *Store) show(p *parameter, decrypt bool) shown {
	value := p.value
	if p.kind == "SecureString" && !decrypt {
		value = "AQICAH" + rand.Text() // the ciphertext, of which nothing can be made
	}
	return shown{
		Name: p.name, Type: p.kind, Value: value, Version: p.version, DataType: "text",
		LastModifiedDate: float64(p.changed.UnixMilli()) / 1000, ARN: ARN(s.region, s.account, p.name),
	}
}

// ARN is a parameter's. Policies name parameters by it.
func ARN(region, account, name string) string {
	return "arn:aws:ssm:" + region + ":" + account + ":parameter/" + strings.TrimPrefix(name, "/")
}

func (s *Store) get(in input) (any, *failure) {
	p, ok := s.parameters[in.Name]
	if !ok {
		return nil, refused("ParameterNotFound", "")
	}
	return map[string]any{"Parameter": s.show(p, in.WithDecryption)}, nil
}

func (s *Store) getSeveral(in input) (any, *failure) {
	if len(in.Names) < 1 || len(in.Names) > maxNames {
		return nil, refused("ValidationException", "names must have length between 1 and %d", maxNames)
	}
	found, invalid := []shown{}, []string{}
	for _, name := range in.Names {
		if p, ok := s.parameters[name]; ok {
			found = append(found, s.show(p, in.WithDecryption))
		} else {
			invalid = append(invalid, name)
		}
	}
	return map[string]any{"Parameters": found, "InvalidParameters": invalid}, nil
}

// A name is a path of at most 15 levels below "/", or no path at all.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
var validName = regexp.MustCompile(`^(/?[A-Za-z0-9_.-]+|(/[A-Za-z0-9_.-]+){2,15})$`)

func (s *Store) put(in input) (any, *failure) {
	p, exists := s.parameters[in.Name]
	kind := in.Type
	if kind == "" && exists {
		kind = p.kind
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(in.Name), "/"), "/")
	switch {
	case !validName.MatchString(in.Name) || len(in.Name) > maxName || strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm"):
		return nil, refused("ValidationException", "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive), and its path has letters, numbers and .-_ only")
	case in.Value == "":
		return nil, refused("ValidationException", "Value at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case !slices.Contains([]string{"String", "StringList", "SecureString"}, kind):
		return nil, refused("ValidationException", "A parameter type is required when you create a parameter: String, StringList or SecureString")
	case in.Tier != "" && in.Tier != "Standard":
		return nil, refused("ValidationException", "this stand-in has the tier Standard only")
	case len(in.Value) > maxValue:
		return nil, refused("ValidationException", "Standard tier parameters support a maximum parameter value of %d characters", maxValue)
	case exists && !in.Overwrite:
		return nil, refused("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case !exists && len(s.parameters) >= maxParameters:
		return nil, refused("ParameterLimitExceeded", "an account can have %d standard parameters", maxParameters)
	case exists && p.kind != kind:
		return nil, refused("HierarchyTypeMismatchException", "the type of a parameter cannot be changed")
	}
	if !exists {
		p = &parameter{name: in.Name, kind: kind}
		s.parameters[in.Name] = p
	}
	p.value, p.changed = in.Value, time.Now()
	p.version++
	return map[string]any{"Version": p.version, "Tier": "Standard"}, nil
}

func (s *Store) delete(in input) (any, *failure) {
	if _, ok := s.parameters[in.Name]; !ok {
		return nil, refused("ParameterNotFound", "")
	}
	delete(s.parameters, in.Name)
	return struct{}{}, nil
}
