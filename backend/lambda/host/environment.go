package host

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxValue bounds what is read of a variable; Lambda allows 4 KB for all of them.
const maxValue = 4 << 10

// environment reads variables, and keeps what is wrong with them.
type environment struct {
	get   func(string) string
	wrong []error
}

func (e *environment) fail(name, format string, args ...any) {
	e.wrong = append(e.wrong, fmt.Errorf(name+" "+format, args...))
}

// word is a variable of one line without blanks around it.
func (e *environment) word(name string) string {
	value := strings.TrimSpace(e.get(name))
	if len(value) > maxValue || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		e.fail(name, "is too long or has a control character in it: set it anew, on one line")
		return ""
	}
	return value
}

func (e *environment) required(name, what string) string {
	value := e.word(name)
	if value == "" && e.get(name) == "" {
		e.fail(name, "is missing: set it to %s", what)
	}
	return value
}

func (e *environment) table(name string) string {
	return e.required(name, "the name of the DynamoDB table, as the template does")
}

func (e *environment) oneOf(name, otherwise string, choices ...string) string {
	value := e.word(name)
	if value == "" && otherwise != "" {
		return otherwise
	}
	for _, choice := range choices {
		if value == choice {
			return value
		}
	}
	e.fail(name, "is %q: set it to one of %s", clip(value), strings.Join(choices, ", "))
	return ""
}

func (e *environment) number(name string, otherwise, least, most int) int {
	value := e.word(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		e.fail(name, "is %q: set it to a number from %d to %d", clip(value), least, most)
		return otherwise
	}
	return n
}

func (e *environment) duration(name string, otherwise, least, most time.Duration) time.Duration {
	value := e.word(name)
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		e.fail(name, "is %q: set it to a duration from %s to %s, such as 20s", clip(value), least, most)
		return otherwise
	}
	return d
}

func (e *environment) level(name string) slog.Level {
	value := e.oneOf(name, "info", "debug", "info", "warn", "error")
	level := slog.LevelInfo
	if value != "" {
		_ = level.UnmarshalText([]byte(value)) // one of the four
	}
	return level
}

// namespace is CloudWatch's: up to 256 characters, of these.
func (e *environment) namespace(name string) string {
	value := e.word(name)
	if value == "" {
		return defaultNamespace
	}
	valid := len(value) <= 256 && !strings.HasPrefix(value, "AWS/") && !strings.ContainsFunc(value, func(c rune) bool {
		return !strings.ContainsRune("./-_#: ", c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	})
	if !valid {
		e.fail(name, "is %q: set it to a namespace of CloudWatch's, such as Culvert/mystack", clip(value))
	}
	return value
}

// parse reads a URL of one of the schemes, without what has no meaning in a base.
func (e *environment) parse(name, example string, schemes ...string) *url.URL {
	value := e.word(name)
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		e.fail(name, "is no URL: set it to one such as %s", example) // not quoted: it may hold a password
		return nil
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		e.fail(name, "has a user, a query or a fragment: leave that out, as in %s", example)
		return nil
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
			return u
		}
	}
	e.fail(name, "begins with %s://: set it to one such as %s", clip(u.Scheme), example)
	return nil
}

// secured is parse, with the unencrypted scheme for this machine only.
func (e *environment) secured(name, example, scheme, plain string) *url.URL {
	u := e.parse(name, example, scheme, plain)
	if u != nil && u.Scheme == plain && !isLoopback(u.Hostname()) {
		e.fail(name, "begins with %s://: that is for this machine alone; set it to one such as %s", plain, example)
		return nil
	}
	return u
}

const managementExample = "https://abcdef1234.execute-api.eu-west-1.amazonaws.com/live"

// management reads the management endpoint of a WebSocket API. The console shows it
// beside the URL for clients, which is the same but for its scheme, and the SDK would
// take that one and fail with every post.
func (e *environment) management(name string) *url.URL {
	if e.get(name) == "" {
		e.fail(name, "is missing: set it to the management endpoint of the WebSocket API with its stage, such as %s", managementExample)
		return nil
	}
	return e.optionalManagement(name)
}

func (e *environment) optionalManagement(name string) *url.URL {
	for _, scheme := range []string{"wss://", "ws://"} {
		if value := e.word(name); len(value) > len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
			e.fail(name, "begins with %s, which is the URL for clients: the management endpoint is the same with https://, such as %s", scheme, managementExample)
			return nil
		}
	}
	u := e.secured(name, managementExample, "https", "http")
	if u != nil && u.Path == "" && strings.Contains(u.Host, ".execute-api.") {
		e.fail(name, "lacks the stage: set it to one such as %s", managementExample)
		return nil
	}
	return u
}

func (e *environment) base(name string) *url.URL {
	return e.parse(name, "https://tunnel.example.com", "https", "http")
}

func (e *environment) endpoint(name string) *url.URL {
	return e.secured(name, "http://127.0.0.1:8000", "https", "http")
}

func (e *environment) webSocket(name string) *url.URL {
	return e.secured(name, "wss://abcdef1234.execute-api.eu-west-1.amazonaws.com/live", "wss", "ws")
}

func (e *environment) hosts(name string) []string {
	var hosts []string
	for host := range strings.SplitSeq(e.word(name), ",") {
		host = strings.ToLower(strings.TrimSpace(host))
		switch {
		case host == "":
		case strings.ContainsAny(host, "/ @?#"):
			e.fail(name, "has %q in it: name hosts, such as agents.example.com, with commas between them", clip(host))
		default:
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// credentials are the ones Lambda sets; it replaces the process before they expire.
func (e *environment) credentials() aws.Credentials {
	c := aws.Credentials{
		AccessKeyID: e.get("AWS_ACCESS_KEY_ID"), SecretAccessKey: e.get("AWS_SECRET_ACCESS_KEY"),
		SessionToken: e.get("AWS_SESSION_TOKEN"), Source: "environment",
	}
	if !c.HasKeys() {
		e.fail("AWS_ACCESS_KEY_ID", "or AWS_SECRET_ACCESS_KEY is missing: Lambda sets both from the function's role, so give it one")
	}
	return c
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// clip makes a value short enough to be quoted.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
