package main

import (
	"fmt"
	"net/url"

	"culvert/app/link"
	"culvert/app/target"
	"culvert/app/ui/instance"
	"culvert/app/version"

	"github.com/alecthomas/kong"
)

// flags are the command line.
type flags struct {
	Open      []string         `placeholder:"TARGET" sep:"none" help:"Open this tunnel at start: a port, host:port, URL or folder. May be given several times."`
	Backend   string           `placeholder:"URL" help:"Where tunnels lead: a relay (http, https) or a WebSocket API (ws, wss). Default: the configured profile, else a relay built into this program."`
	Minimized bool             `help:"Start in the tray, without a window."`
	Version   kong.VersionFlag `help:"Print the version."`
	Config    string           `placeholder:"DIR" env:"CULVERT_CONFIG_DIR" help:"The folder of config file, keys and what is remembered."`
}

// usageError is about the command line: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// parse reads the command line and checks every value, so that nothing is handed
// to a running program that it would have to refuse.
func parse(args []string) (*flags, error) {
	var f flags
	parser, err := kong.New(&f, kong.Name("culvert-desktop"),
		kong.Description("Gives local services public URLs, and shows their requests."),
		kong.Vars{"version": version.Line()})
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, usageError{err}
	}
	for i, t := range f.Open {
		to, err := target.Parse(t)
		if err != nil {
			return nil, usagef("--open: %w", err)
		}
		if to.IsFolder() {
			f.Open[i] = to.Folder // a running program may be in another folder
		}
	}
	if _, err := f.backend(); err != nil {
		return nil, err
	}
	return &f, nil
}

// backend is the URL of --backend, or nil without it.
func (f *flags) backend() (*url.URL, error) { return parseBackend(f.Backend) }

func parseBackend(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, usagef("--backend is no URL: write one such as https://tunnel.example.com")
	}
	if err := link.ValidateBackend(u, ""); err != nil {
		return nil, usagef("--backend: %w", err)
	}
	return u, nil
}

// launch is what a running program would be asked for.
func (f *flags) launch() instance.Launch {
	return instance.Launch{Open: f.Open, Backend: f.Backend, Minimized: f.Minimized}
}
