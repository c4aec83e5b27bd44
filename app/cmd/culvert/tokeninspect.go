package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"culvert/app/config"
	"culvert/app/plain"
	"culvert/backend/auth"
)

type tokenInspectCmd struct {
	tokenInput
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help is shown below the summary.
func (*tokenInspectCmd) Help() string {
	return `Examples:

    culvert token inspect --token-file token
    CULVERT_TOKEN=... culvert token inspect --json

It exits with 0 whatever is wrong with the token, as long as it can be read. "culvert token verify" says whether it is valid.`
}

// Run shows a token.
func (c *tokenInspectCmd) Run(out *output) error {
	token, err := c.read(out)
	if err != nil {
		return err
	}
	now := time.Now()
	i, err := auth.Inspect(token, now)
	if err != nil {
		return err
	}
	if c.JSON {
		problems := i.Problems
		if problems == nil {
			problems = []string{}
		}
		return json.NewEncoder(out.stdout).Encode(map[string]any{
			"header": i.Header, "claims": i.Claims, "signature_checked": false, "problems": problems,
		})
	}
	return showInspection(out.stdout, i, now)
}

// tokenFile is the name of a file with a token; - is stdin.
type tokenFile string

// UnmarshalText reads the flag.
func (f *tokenFile) UnmarshalText(text []byte) error {
	if string(text) == "-" {
		*f = "-"
		return nil
	}
	return (*filePath)(f).UnmarshalText(text)
}

// tokenInput is where a token comes from: never from the command line.
type tokenInput struct {
	TokenFile tokenFile `placeholder:"FILE" help:"Read the token from this file; - is stdin. Default: $$CULVERT_TOKEN, else stdin."`
}

// maxTokenInput is more than any token has.
const maxTokenInput = 64 << 10

func (c *tokenInput) read(out *output) (string, error) {
	switch env := os.Getenv("CULVERT_TOKEN"); {
	case c.TokenFile != "" && c.TokenFile != "-":
		token, err := config.ReadToken(string(c.TokenFile))
		if err != nil {
			return "", usageError{fmt.Errorf("--token-file: %w", err)}
		}
		if loose := config.LooseMode(string(c.TokenFile)); loose != "" {
			notice(out, loose)
		}
		return token, nil
	case c.TokenFile == "" && env != "":
		return strings.TrimSpace(env), nil
	case c.TokenFile == "" && isTerminal(os.Stdin):
		return "", usageError{errors.New("which token? Name a file that holds it with --token-file, or - for stdin")}
	}
	text, err := io.ReadAll(io.LimitReader(os.Stdin, maxTokenInput))
	if err != nil {
		return "", fmt.Errorf("reading the token from stdin: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", usageError{errors.New("which token? There is nothing on stdin: name a file that holds it with --token-file")}
	}
	return token, nil
}

// showInspection prints a token for people. What it says may be anybody's invention,
// and nothing of that shall reach the terminal but letters.
func showInspection(w io.Writer, i *auth.Inspection, now time.Time) error {
	t := newTable(w)
	t.row("signature", "NOT CHECKED: anybody can write a token that says this; see culvert token verify")
	for _, name := range slices.Sorted(maps.Keys(i.Header)) {
		t.row(name, value(i.Header[name]))
	}
	t.identity(i.Identity, now)
	t.row("issuer (iss)", i.Issuer)
	t.row("audience (aud)", strings.Join(i.Audience, ", "))
	t.time("valid from (nbf)", i.NotBefore, now)
	shown := []string{"sub", "jti", "tunnels", "max", "notify", "iat", "exp", "iss", "aud", "nbf"}
	for _, name := range slices.Sorted(maps.Keys(i.Claims)) {
		if !slices.Contains(shown, name) {
			t.row(name, value(i.Claims[name]))
		}
	}
	for _, problem := range i.Problems {
		t.row("PROBLEM", problem)
	}
	return t.flush()
}

// showIdentity prints who the bearer of a valid token is.
func showIdentity(w io.Writer, i auth.Identity, now time.Time) error {
	t := newTable(w)
	text := "the signature is good, and so is what it says"
	if forgiven(i.Expires, now) {
		text = "for a moment more: the signature is good, and that it has expired is forgiven"
	}
	t.row("valid", text)
	t.identity(i, now)
	return t.flush()
}

// table is two columns.
type table struct{ tab *tabwriter.Writer }

func newTable(w io.Writer) table {
	return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

// row leaves out what is empty.
func (t table) row(name, text string) {
	if text != "" {
		fmt.Fprintf(t.tab, "%s\t%s\n", plain.Cut(plain.Line(name), 40), plain.Cut(plain.Line(text), 500))
	}
}

func (t table) time(name string, at, now time.Time) {
	if !at.IsZero() {
		t.row(name, local(at)+" ("+relative(at.Sub(now))+")")
	}
}

func (t table) identity(i auth.Identity, now time.Time) {
	t.row("user (sub)", i.Subject)
	t.row("name (jti)", i.ID)
	tunnels, most, notices := "any name", "as many as the backend allows", "to this user's own connections"
	if len(i.Tunnels) > 0 {
		tunnels = strings.Join(i.Tunnels, ", ")
	}
	if i.Max > 0 {
		most = strconv.Itoa(i.Max) + " at once"
	}
	if i.Notify {
		notices = "to every user"
	}
	t.row("tunnels", tunnels+"; "+most)
	t.row("may send notices", notices)
	t.time("issued (iat)", i.IssuedAt, now)
	if i.Expires.IsZero() {
		t.row("expires (exp)", "never")
	}
	if forgiven(i.Expires, now) {
		t.row("expires (exp)", fmt.Sprintf("%s (expired %s, within the %.0f seconds that backends allow for clocks that differ)",
			local(i.Expires), relative(i.Expires.Sub(now)), leeway.Seconds()))
		return
	}
	t.time("expires (exp)", i.Expires, now)
}

// leeway is how far backends let clocks differ: for so long they take a token that has
// expired.
const leeway = 30 * time.Second

func forgiven(expires, now time.Time) bool {
	return !expires.IsZero() && !now.Before(expires) && now.Before(expires.Add(leeway))
}

func (t table) flush() error { return t.tab.Flush() }

// value is a claim as JSON, without quotes if it is text.
func value(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		return text
	}
	var short bytes.Buffer
	if json.Compact(&short, raw) == nil {
		return short.String()
	}
	return string(raw)
}

// local is a time where the reader is.
func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// relative is a time from now in the largest unit that says enough.
func relative(d time.Duration) string {
	n, unit := d.Abs(), "seconds"
	for _, u := range []struct {
		length time.Duration
		name   string
	}{{365 * day, "years"}, {day, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if n >= 2*u.length {
			n, unit = (n+u.length/2)/u.length*time.Second, u.name
			break
		}
	}
	if n < time.Second {
		return "just now"
	}
	text := fmt.Sprintf("%d %s", n/time.Second, unit)
	if n < 2*time.Second {
		text = strings.TrimSuffix(text, "s")
	}
	if d < 0 {
		return text + " ago"
	}
	return "in " + text
}

// seconds is a time as tokens have it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// known is for JSON: nil for a time that is not said.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = seconds(t)
	return &t
}
