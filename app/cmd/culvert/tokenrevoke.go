package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"culvert/app/plain"
	"culvert/backend/auth"
)

type tokenRevokeCmd struct {
	File      filePath  `required:"" placeholder:"FILE" help:"The revocation list: that of the backend's --revoked. It is made if it is not there."`
	ID        string    `name:"id" xor:"which" placeholder:"ID" help:"Revoke the token of this name (jti)."`
	User      string    `xor:"which" placeholder:"USER" help:"Revoke all tokens of this user that were issued until now."`
	TokenFile tokenFile `xor:"which" placeholder:"FILE" help:"Revoke the token in this file; - reads stdin."`
}

// Help is shown below the summary.
func (*tokenRevokeCmd) Help() string {
	return `Name what is to be revoked by one of --id, --user and --token-file. Examples:

    culvert token revoke --file revoked --token-file token
    culvert token revoke --file revoked --user ann

A running relay reads the list again within a second. It is text, a line each: "id JTI", "user SUB TIME" (tokens issued before that time) or "user SUB" (all of them, for ever; write that one yourself); # begins a comment. Lines of tokens that have expired may be taken out.`
}

// Run adds to a revocation list.
func (c *tokenRevokeCmd) Run(out *output) error {
	now := time.Now()
	r := auth.Revocation{ID: c.ID, User: c.User}
	comment := "revoked " + now.UTC().Format(time.RFC3339)
	what := fmt.Sprintf("the token %q", c.ID)
	switch {
	case c.TokenFile != "":
		input := tokenInput{TokenFile: c.TokenFile}
		token, err := input.read(out)
		if err != nil {
			return err
		}
		i, err := auth.Inspect(token, now)
		if err != nil {
			return usageError{fmt.Errorf("--token-file: %w", err)}
		}
		if i.ID == "" {
			return usageError{fmt.Errorf("the token has no name (jti) to revoke it by: revoke all tokens of its user with --user %q", i.Subject)}
		}
		r.ID = i.ID
		what = fmt.Sprintf("the token %q of %q", i.ID, i.Subject)
		comment += ", of " + plain.Cut(plain.Line(i.Subject), 80)
		if !i.Expires.IsZero() {
			comment += ", expires " + i.Expires.UTC().Format(time.RFC3339)
		}
	case strings.HasPrefix(c.User, "key:"):
		return usageError{fmt.Errorf("%q is an owner key, and has no tokens", c.User)}
	case c.User != "":
		// Tokens tell the second in which they were issued. All of this one are meant,
		// and none that is made after this command has ended.
		r.Before = now.Truncate(time.Second).Add(time.Second)
		what = fmt.Sprintf("all tokens of %q that were issued before %s", c.User, local(r.Before))
	case c.ID == "":
		return usageError{errors.New("nobody is named: give one of --id, --user and --token-file, and a value")}
	}
	added, err := auth.Revoke(string(c.File), r, comment)
	if err != nil {
		return err
	}
	if !added {
		fmt.Fprintf(out.stdout, "%s was revoked before: %s has it\n", what, c.File)
		return nil
	}
	if !r.Before.IsZero() {
		time.Sleep(time.Until(r.Before))
	}
	_, err = fmt.Fprintf(out.stdout, "revoked: %s, in %s\n", what, c.File)
	return err
}
