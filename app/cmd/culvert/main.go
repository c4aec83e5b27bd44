// Culvert exposes local services to the internet through a backend that its user
// owns. This is the headless program: `culvert http` opens a tunnel, `culvert
// relay` and `culvert aws-local` are backends.
//
// Each command has a file of its own; this one composes them and turns what comes
// of them into exit codes.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"culvert/app/config"
	"culvert/app/version"
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

	HTTP        httpCmd        `cmd:"" name:"http" help:"Open a tunnel: give a local web service a public URL and watch the requests."`
	Relay       relayCmd       `cmd:"" help:"Run a relay: the backend that agents connect to and visitors come through."`
	AWSLocal    awsLocalCmd    `cmd:"" name:"aws-local" help:"Run the serverless backend on this machine: the real functions behind a local API Gateway, and DynamoDB Local."`
	Token       tokenCmd       `cmd:"" help:"Make, show, check and revoke the tokens that agents need."`
	Connections connectionsCmd `cmd:"" help:"List the connections that you have at a backend."`
	Doctor      doctorCmd      `cmd:"" help:"Find out whether a backend can be used and, if not, why and what to do."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	VersionFlag kong.VersionFlag `name:"version" hidden:"" help:"Print the version."`
}

const description = `Exposes local services to the internet through a backend that you own.

Try it on this machine: "culvert http 3000" opens a tunnel to port 3000 through a relay that is built in. For the internet, run "culvert relay" on a machine that the internet reaches, and then "culvert http 3000 --backend https://that.machine".`

// output is where a command writes to.
type output struct {
	stdout, stderr io.Writer
	configDir      string
}

func run(args []string, stdout, stderr io.Writer) int {
	var line cli
	helped := false
	helpTo := stdout
	if len(args) == 0 { // nothing was asked for: explain, but do not claim success
		args, helpTo = []string{"--help"}, stderr
	}
	if args[0] == "help" { // as many programs have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	parser, err := kong.New(&line,
		kong.Name("culvert"), kong.Description(description),
		kong.Writers(helpTo, stderr), kong.Exit(func(int) { helped = true }),
		kong.Vars{"version": version.Line()},
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
	name := commandName(ctx.Selected())
	err = ctx.Run(&output{stdout: stdout, stderr: stderr, configDir: line.Config})
	if errors.As(err, new(usageError)) && !errors.As(err, new(*config.FileError)) {
		err = fmt.Errorf("%w\n%s", err, seeHelp("culvert "+name))
	}
	if err != nil {
		return fail(stderr, fmt.Errorf("culvert %s: %w", name, err))
	}
	return exitOK
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
