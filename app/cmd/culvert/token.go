package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"culvert/app/config"
	"culvert/backend/auth"
)

// tokenCmd is for those who own a backend, and for those who were given a token.
type tokenCmd struct {
	Mint    tokenMintCmd    `cmd:"" help:"Make a token for a user, signed with the secret."`
	Inspect tokenInspectCmd `cmd:"" help:"Show what a token says, without checking its signature."`
	Verify  tokenVerifyCmd  `cmd:"" help:"Check a token as a backend does."`
	Revoke  tokenRevokeCmd  `cmd:"" help:"Take tokens back before they expire."`
	Secret  tokenSecretCmd  `cmd:"" help:"Make a secret to sign tokens with."`
}

// Help is shown below the summary.
func (*tokenCmd) Help() string {
	return `A relay of your own, from nothing to a tunnel:

    culvert token secret secret
    umask 077; culvert token mint --secret-file secret --sub ann > token
    culvert relay --jwt-secret-file secret ...
    culvert http 3000 --backend https://tunnel.example.com --token-file token

Tokens are never given on the command line, which every user of a machine can read.`
}

type tokenMintCmd struct {
	SecretFile filePath `required:"" placeholder:"FILE" help:"The backend's secret, that of its --jwt-secret-file."`
	Sub        string   `required:"" placeholder:"USER" help:"The user whose tunnels they will be: names belong to him."`
	Tunnels    []string `placeholder:"A,B" help:"The only tunnel names that he may ask for. Default: any."`
	Max        *int     `placeholder:"N" help:"How many tunnels he may hold at once. Default: what the backend allows."`
	TTL        ttl      `name:"ttl" default:"2160h" placeholder:"DURATION" help:"How long the token is valid, such as 12h or 90d; 0: until it is revoked. Backends take it for 30 seconds longer, as clocks differ. Default: 90d."`
	Aud        string   `placeholder:"AUDIENCE" help:"What the token is for (aud), where the backend has --audience."`
	Iss        string   `placeholder:"ISSUER" help:"Who makes it (iss), where the backend has --issuer."`
	Notify     bool     `help:"Let its bearer send notices to every user, not only to himself."`
	ID         string   `name:"id" placeholder:"ID" help:"The token's name (jti), to revoke it by. Default: a random one."`
	JSON       bool     `name:"json" help:"Print one JSON object instead of the token alone."`
}

// Help is shown below the summary.
func (*tokenMintCmd) Help() string {
	return `Examples:

    culvert token mint --secret-file secret --sub ann > token
    culvert token mint --secret-file secret --sub ci --tunnels preview --max 1 --ttl 1h

The token alone goes to stdout: run umask 077 before it goes to a file, as who has it is that user.`
}

// ttl is how long a token is valid; 0: for ever.
type ttl time.Duration

const day = 24 * time.Hour

// UnmarshalText reads the flag. Days are what people count the lives of tokens in.
func (t *ttl) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		d = time.Duration(n) * day
	}
	if err != nil || d < 0 || d > 0 && d < time.Second {
		return fmt.Errorf("%q is no time for a token to be valid: write a number with its unit, such as 12h or 90d, or 0 for a token that never expires", text)
	}
	*t = ttl(d)
	return nil
}

// Run prints a new token.
func (c *tokenMintCmd) Run(out *output) error {
	secret, err := readSecret(out, c.SecretFile)
	if err != nil {
		return err
	}
	now := time.Now()
	g := auth.Grant{Identity: auth.Identity{Subject: c.Sub, Tunnels: c.Tunnels, Notify: c.Notify, ID: c.ID, IssuedAt: now}, Audience: c.Aud, Issuer: c.Iss}
	if c.Max != nil {
		if g.Max = *c.Max; g.Max < 1 {
			return usageError{errors.New("--max: at least 1; without it the backend decides")}
		}
	}
	if g.ID == "" {
		g.ID = auth.NewID()
	}
	if c.TTL > 0 {
		g.Expires = now.Add(time.Duration(c.TTL))
	} else {
		notice(out, "this token never expires: whoever gets hold of it can use it until it is revoked, or the secret is replaced")
	}
	token, err := auth.Mint(secret, g)
	if err != nil {
		return usageError{fmt.Errorf("no backend would take this token: %w", err)}
	}
	if mode, loose := looseOutput(out.stdout); loose {
		notice(out, fmt.Sprintf("other users of this machine can read the file that the token goes to (mode %04o): run chmod 600 on it, and umask 077 before the next", mode))
	}
	if c.JSON {
		return json.NewEncoder(out.stdout).Encode(struct {
			Token    string     `json:"token"`
			User     string     `json:"user"`
			ID       string     `json:"id"`
			IssuedAt time.Time  `json:"issued_at"`
			Expires  *time.Time `json:"expires,omitempty"`
		}{token, g.Subject, g.ID, seconds(g.IssuedAt), known(g.Expires)})
	}
	_, err = fmt.Fprintln(out.stdout, token)
	return err
}

// looseOutput reports whether what is printed ends in a file that others can read.
func looseOutput(w io.Writer) (fs.FileMode, bool) {
	f, ok := w.(*os.File)
	if !ok || runtime.GOOS == "windows" {
		return 0, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&0o077 != 0
}

type tokenSecretCmd struct {
	File filePath `arg:"" default:"secret" help:"The file to make; it must not be there yet. Default: secret."`
}

// Help is shown below the summary.
func (*tokenSecretCmd) Help() string {
	return `Example:

    culvert token secret /etc/culvert/secret

The file gets 48 random bytes, in base64, and the mode 0600: only you can read it. Whoever can, may make tokens for everybody.`
}

// Run makes a secret.
func (c *tokenSecretCmd) Run(out *output) error {
	err := auth.MakeSecret(string(c.File))
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already, and stays as it is: tokens may be signed with it", c.File)}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out.stdout, "made the secret %s, which only you can read. Next: culvert token mint --secret-file %[1]s --sub NAME\n", c.File)
	return err
}

// loadSecret reads a secret, and takes no token for one: whoever was given that token
// could then make others.
func loadSecret(path filePath) ([]byte, error) {
	secret, err := auth.LoadSecret(string(path))
	if err != nil {
		return nil, err
	}
	if _, err := auth.Inspect(string(bytes.TrimSpace(secret)), time.Now()); err == nil {
		return nil, fmt.Errorf("%s: this is a token, not a secret: name the secret that it was signed with, or make one with `culvert token secret FILE`", path)
	}
	return secret, nil
}

func readSecret(out *output, path filePath) ([]byte, error) {
	secret, err := loadSecret(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("--secret-file: %w", err)}
	}
	if loose := config.LooseMode(string(path)); loose != "" {
		notice(out, loose)
	}
	return secret, nil
}

func notice(out *output, text string) { fmt.Fprintln(out.stderr, "culvert: notice: "+text) }
