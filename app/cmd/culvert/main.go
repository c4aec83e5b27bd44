// Culvert exposes local services to the internet through a backend that its user
// owns. This is the headless program: `culvert http` opens a tunnel, `culvert
// relay` is a backend.
//
// Each command has a file of its own; this one composes them and turns what comes
// of them into exit codes.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"culvert/backend/wire"
)

// Exit codes, the same for all programs.
const (
	exitOK      = 0 // done, or stopped by a signal
	exitFailed  = 1
	exitUsage   = 2 // the command line, a file that it names, or the config file
	exitRefused = 3 // by the backend, for good
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// cli is the command line.
type cli struct {
	Config string `env:"CULVERT_CONFIG_DIR" placeholder:"DIR" help:"Folder of the config file, this installation's owner key and what is remembered (default: culvert in the user's config folder)."`

	HTTP    httpCmd    `cmd:"" name:"http" help:"Open a tunnel: give a local web service a public URL and watch the requests."`
	Relay   relayCmd   `cmd:"" help:"Run a relay: the backend that agents connect to and visitors come through."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

const description = `Exposes local services to the internet through a backend that you own.

Try it on this machine: "culvert http 3000" opens a tunnel to port 3000 through a relay that is built in. For the internet, run "culvert relay" on a machine that the internet reaches, and then "culvert http 3000 --backend https://that.machine".`

// output is where a command writes to.
type output struct {
	stdout, stderr io.Writer
	configDir      string
}

// usageError is about how the program was called: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func run(args []string, stdout, stderr io.Writer) int {
	var line cli
	helped := false
	helpTo := stdout
	if len(args) == 0 { // nothing was asked for: explain, but do not claim success
		args, helpTo = []string{"--help"}, stderr
	}
	parser, err := kong.New(&line,
		kong.Name("culvert"), kong.Description(description),
		kong.Writers(helpTo, stderr), kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100, FlagsLast: true}),
	)
	if err != nil {
		panic(err) // the structs above are wrong
	}
	ctx, err := parser.Parse(args)
	switch {
	case helped && helpTo == stderr:
		return exitUsage
	case helped:
		return exitOK
	case err != nil:
		return fail(stderr, explain(err))
	}
	if line.Config != "" { // an empty variable is none; kong would make it the current folder
		line.Config = kong.ExpandPath(line.Config)
	}
	if err := ctx.Run(&output{stdout: stdout, stderr: stderr, configDir: line.Config}); err != nil {
		return fail(stderr, fmt.Errorf("culvert %s: %w", ctx.Selected().Name, err))
	}
	return exitOK
}

// explain puts the parser's words in order and says where the flags are explained.
func explain(err error) error {
	command, text := "culvert", err.Error()
	var about *kong.ParseError
	if errors.As(err, &about) && about.Context != nil && about.Context.Selected() != nil {
		name := about.Context.Selected().Name
		command += " " + name
		text = strings.TrimPrefix(strings.TrimPrefix(text, name+": "), "<target>: ")
	} else if word, ok := strings.CutPrefix(text, "unexpected argument "); ok {
		text = "unknown command " + word
	}
	if text == `expected "<target>"` {
		text = "the target is missing: name the local service, such as 3000"
	}
	return usageError{fmt.Errorf("%s: %s\nrun \"%s --help\" to see how to call it", command, text, command)}
}

// fail tells an error and gives the exit code for it.
func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, err)
	var refused *wire.Error
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, &refused) && refused.Code.Permanent():
		return exitRefused
	default:
		return exitFailed
	}
}
