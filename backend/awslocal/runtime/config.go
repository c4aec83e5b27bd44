package runtime

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"culvert/backend/awslocal/clock"
)

// Config describes a function. Only Name is always needed, and Bootstrap for New.
type Config struct {
	Name      string            // letters, digits, - and _, at most 64
	Bootstrap string            // the program
	Env       map[string]string // further environment variables; Lambda's own are refused

	MemoryMB    int           // default 128; reported only
	Timeout     time.Duration // of an invocation, at most 15 min; default 3 s
	InitTimeout time.Duration // until the first request for an invocation; default 10 s
	IdleAfter   time.Duration // an environment unused for so long is retired; default 5 min
	// KeepRunning leaves environments running between invocations. Lambda freezes
	// them, and so does this package where the system can (not on Windows).
	KeepRunning bool

	// Clock times what nobody waits for: IdleAfter and RetryAfter. Default clock.Real.
	Clock clock.Clock

	// Reserved is the function's own part of the account's concurrency; 0 takes from
	// what all functions share.
	Reserved int
	Account  *Account // default: an account with 1000, for this function alone

	// RetryAfter is the wait before a failed asynchronous invocation is tried again,
	// and doubles for the third and last try. Default 1 min, as in Lambda.
	RetryAfter time.Duration

	Region      string      // default us-east-1
	AccountID   string      // default 123456789012
	Credentials Credentials // default: AccessKeyID(Name) and random secrets

	// Observe gets a report of every invocation once it is over, in no order. It must
	// not block. Log gets what environments write, line by line; a slow one slows them.
	Observe func(Report)
	Log     func(Line)
}

// Credentials are those of a function's role.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

const keyPrefix = "ASIA."

// AccessKeyID returns the access key ID of the function's credentials. It tells the
// function's name to whoever sees a signed call, so that calls are attributed to roles.
func AccessKeyID(function string) string { return keyPrefix + function }

// FunctionOf returns the name of the function whose credentials have the access key ID.
func FunctionOf(accessKeyID string) (string, bool) {
	return strings.CutPrefix(accessKeyID, keyPrefix)
}

// Line is a line that an environment wrote.
type Line struct {
	Function    string
	Environment string // as in the log stream's name
	Stderr      bool
	Text        string // without the line feed; one too long comes in pieces
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// withDefaults returns the config with what was left out, or says what is wrong.
func (c Config) withDefaults() (Config, error) {
	if !validName.MatchString(c.Name) {
		return c, fmt.Errorf("function name %q: only letters, digits, - and _, at most 64", c.Name)
	}
	c.MemoryMB = orDefault(c.MemoryMB, defaultMemory)
	c.Timeout = orDefault(c.Timeout, defaultTimeout)
	c.InitTimeout = orDefault(c.InitTimeout, initTimeout)
	c.IdleAfter = orDefault(c.IdleAfter, defaultIdle)
	c.RetryAfter = orDefault(c.RetryAfter, time.Minute)
	c.Region = orDefault(c.Region, "us-east-1")
	c.AccountID = orDefault(c.AccountID, "123456789012")
	switch {
	case c.Timeout < 0 || c.Timeout > MaxTimeout:
		return c, fmt.Errorf("function %s: timeout %v: Lambda allows up to %v", c.Name, c.Timeout, MaxTimeout)
	case c.InitTimeout < 0 || c.IdleAfter < 0 || c.RetryAfter < 0 || c.MemoryMB < 0 || c.Reserved < 0:
		return c, fmt.Errorf("function %s: negative times, memory or concurrency mean nothing", c.Name)
	}
	for name := range c.Env {
		if reserved(name) {
			return c, fmt.Errorf("function %s: environment variable %q is for Lambda to set", c.Name, name)
		}
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(c.Env[name], "\x00") {
			return c, fmt.Errorf("function %s: %q is no environment variable", c.Name, name)
		}
	}
	c.Env = maps.Clone(c.Env)
	c.Credentials = Credentials{
		AccessKeyID:     orDefault(c.Credentials.AccessKeyID, AccessKeyID(c.Name)),
		SecretAccessKey: orDefault(c.Credentials.SecretAccessKey, rand.Text()),
		SessionToken:    orDefault(c.Credentials.SessionToken, rand.Text()),
	}
	if c.Account == nil {
		c.Account = NewAccount(0)
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	if c.Observe == nil {
		c.Observe = func(Report) {}
	}
	if c.Log == nil {
		c.Log = func(Line) {}
	}
	return c, nil
}

// checkBootstrap makes the program's path absolute and sees that it can be run.
func (c *Config) checkBootstrap() error {
	if c.Bootstrap == "" {
		return errors.New("no bootstrap program was given")
	}
	path, err := filepath.Abs(c.Bootstrap)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if !info.Mode().IsRegular() || !executable(info) {
		return fmt.Errorf("bootstrap: %s is no program", path)
	}
	c.Bootstrap = path
	return nil
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// ARN names the function, as its invocations see it.
func (c *Config) arn() string {
	return "arn:aws:lambda:" + c.Region + ":" + c.AccountID + ":function:" + c.Name
}

// reserved says whether only Lambda may set the variable. Of AWS's own names,
// AWS_ENDPOINT_URL and the like are free.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func reserved(name string) bool {
	return strings.HasPrefix(name, "AWS_LAMBDA_") || slices.Contains([]string{
		"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
	}, name)
}

// environ is everything that an environment sees.
func (c *Config) environ(environment string) map[string]string {
	root := filepath.Dir(c.Bootstrap)
	env := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC",
		"_HANDLER": "bootstrap", "LAMBDA_TASK_ROOT": root, "LAMBDA_RUNTIME_DIR": root,
		"AWS_REGION": c.Region, "AWS_DEFAULT_REGION": c.Region,
		"AWS_ACCESS_KEY_ID": c.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": c.Credentials.SecretAccessKey,
		"AWS_SESSION_TOKEN":        c.Credentials.SessionToken,
		"AWS_LAMBDA_FUNCTION_NAME": c.Name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(c.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      environment,
	}
	maps.Copy(env, c.Env)
	return env
}
