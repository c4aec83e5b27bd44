package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// usageError is about how the program was called: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// filePath is the name of a file that is to be read; ~ is the user's home folder.
type filePath string

// UnmarshalText reads the flag. An empty name is a script's empty variable.
func (f *filePath) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("no file is named")
	}
	*f = filePath(kong.ExpandPath(string(text)))
	return nil
}

// commandName is what people type for it, after the program's name.
func commandName(n *kong.Node) string {
	_, name, _ := strings.Cut(n.FullPath(), " ")
	return name
}

func seeHelp(command string) string {
	return fmt.Sprintf("run \"%s --help\" to see how to call it", command)
}

// explain puts the parser's words in order and says where the flags are explained.
func explain(err error) error {
	command, text := "culvert", err.Error()
	var about *kong.ParseError
	group := true // of commands
	if errors.As(err, &about) && about.Context != nil && about.Context.Selected() != nil {
		selected := about.Context.Selected()
		command += " " + commandName(selected)
		group = !selected.Leaf()
		text = strings.TrimPrefix(strings.TrimPrefix(text, selected.Name+": "), "<target>: ")
	}
	if word, ok := strings.CutPrefix(text, "unexpected argument "); ok && strings.HasPrefix(word, "eyJ") && strings.Count(word, ".") > 1 {
		text = "this is a token, which every user of this machine can read on the command line: put it into a file, and name that with --token-file"
	} else if ok && strings.HasPrefix(command, "culvert token ") && slices.ContainsFunc(about.Context.Flags(), func(f *kong.Flag) bool { return f.Name == "token-file" }) {
		text += ": name the file that holds the token with --token-file " + word
	} else if ok && group {
		text = "unknown command " + word
	}
	if group && strings.HasPrefix(text, `expected one of "`) {
		text = "which command? There are " + strings.ReplaceAll(strings.TrimPrefix(text, "expected one of "), `"`, "")
	}
	if text == `expected "<target>"` {
		text = "the target is missing: name the local service, such as 3000, or a folder, such as ./dist"
	}
	if flag, _, ok := strings.Cut(text, ": expected "); ok && strings.HasSuffix(text, "<EOL>)") {
		text = flag + " needs a value"
	}
	return usageError{fmt.Errorf("%s: %s\n%s", command, text, seeHelp(command))}
}
