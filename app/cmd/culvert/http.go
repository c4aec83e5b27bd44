package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"culvert/app/config"
	"culvert/app/console"
	"culvert/app/engine"
	"culvert/app/forwarder"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// How long the end may take: closing connections, and what is still to be shown.
const (
	closeTimeout = 5 * time.Second
	flushTimeout = 2 * time.Second
)

// serviceTimeout bounds the look at the local service when the tunnel has come online.
const serviceTimeout = 15 * time.Second

type httpCmd struct {
	Target target.Target `arg:"" help:"The local service: a port (3000), host:port (localhost:3000) or URL (https://localhost:8443). Or a folder (./dist), whose files are served."`

	backendFlags
	Name       string  `placeholder:"ID" help:"Ask for this tunnel ID, the last part of the public URL: 3 to 63 lower-case letters, digits and inner hyphens. Default: a random one."`
	JSON       bool    `name:"json" help:"Print one JSON object per line on stdout, and the log on stderr."`
	HostHeader string  `default:"local" placeholder:"local|public|NAME" help:"Host that the local service sees: its own address, the public one, or NAME. Default: local."`
	Rewrite    string  `enum:"off" default:"off" placeholder:"off" help:"What is done to links within pages under a URL with the tunnel's ID in its path: off, nothing. Pages that name their files from the root (/app.js) need a backend with host names."`
	Timeout    timeout `default:"60s" placeholder:"DURATION" help:"How long to wait for the local service to begin its answer, such as 90s; at most 27s on API Gateway. Default: 60s."`
}

// Help is shown below the summary.
func (*httpCmd) Help() string {
	return `Examples:

    culvert http 3000
    culvert http 3000 --backend https://tunnel.example.com --name my-shop
    culvert http https://localhost:8443 --host-header public
    culvert http ./dist
    culvert http 3000 --json | jq -r 'select(.event == "online").public_url'

Of a folder, only files that it holds are served, for reading; names that begin with a dot are not. A path begins with /, ./, ../ or ~/.

The tunnel stays open, and comes back under the same URL when the connection is lost, until SIGINT (Ctrl-C) or SIGTERM. HTTPS_PROXY and NO_PROXY are honoured.

When stdout is closed or slow the tunnel goes on: lines that find no reader are left out, which is said (on stderr, or by a notice once there is a reader again).

JSON lines have "time" and "event": online, reconnecting, request, offline or notice. A request that failed has a "cause". Notices that somebody sends to you through the backend have "id" and "data" beside "message".

Exit codes: 0 stopped by a signal, 1 failed, 2 called wrongly, 3 refused by the backend.`
}

// Validate is called by the parser. What it finds needs no file.
func (c *httpCmd) Validate() error {
	if c.Name != "" {
		if err := tunnel.ValidID(c.Name); err != nil {
			return fmt.Errorf("--name=%q: %w", c.Name, err)
		}
	}
	return nil
}

// timeout is a positive duration.
type timeout time.Duration

// UnmarshalText reads the flag.
func (t *timeout) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no time to wait: write a number with its unit, such as 90s or 2m", text)
	}
	*t = timeout(d)
	return nil
}

// Run opens the tunnel and stays until a signal or a refusal ends it.
func (c *httpCmd) Run(out *output) error {
	defer spareGarbage()()
	dir, err := config.Open(out.configDir)
	if err != nil {
		return err
	}
	spec, notices, err := c.spec(dir, os.Getenv("CULVERT_TOKEN"))
	if err != nil {
		return usageError{err}
	}
	signals, stop := listenForSignals()
	defer stop()

	logLines := console.NewLines(out.stderr, nil, nil)
	defer flush(logLines)
	c.warn(logLines)
	gone := func(err error) {
		fmt.Fprintf(logLines, "culvert: notice: nobody reads the output any more (%v); the tunnel stays open until it is stopped\n", err)
	}
	view, level := c.view(out, spec.Backend, gone)
	defer flush(view.Lines())

	refused := make(chan error, 1)
	online := make(chan struct{})
	var once sync.Once
	eng, err := engine.New(engine.Config{
		Dir:    dir,
		Logger: slog.New(slog.NewTextHandler(logLines, &slog.HandlerOptions{Level: level})),
		OnEvent: func(event engine.Event) {
			view.Show(event)
			e, ok := event.(engine.StatusChanged)
			switch {
			case !ok:
			case e.Status.State == session.Refused:
				refused <- inFlags(e.Status.Cause, spec.Backend, spec.Token) // once: nobody starts the tunnel again
			case e.Status.State == session.Online:
				once.Do(func() { close(online) })
			}
		},
	})
	if err != nil {
		return err
	}
	for _, notice := range notices {
		c.tell(view, logLines, notice)
	}
	stopLooking := lookAfter(online, spec, view)
	_, err = eng.Open(spec)
	cause := "closing"
	if err == nil {
		select {
		case s := <-signals:
			cause = "stopped by " + signalName(s)
		case err = <-refused:
			cause = "refused by the backend: " + err.Error()
			if errors.As(err, new(*engine.LocalError)) {
				cause = "failed: " + err.Error()
			}
		}
	}
	stopLooking()
	ctx, cancel := untilSecond(signals, closeTimeout)
	defer cancel()
	if late := eng.Close(ctx); late != nil {
		fmt.Fprintf(logLines, "culvert: notice: %v\n", late)
	}
	if err != nil && !c.JSON && isTerminal(out.stdout) && isTerminal(out.stderr) {
		cause, _, _ = strings.Cut(cause, ":") // the rest follows, on the same screen
	}
	view.Offline(cause)
	return err
}

// lookAfter looks for the local service once the tunnel is online, and shows if it is
// missing. stop ends that, and has to be called.
func lookAfter(online <-chan struct{}, spec engine.Spec, view console.Console) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-online:
			if notice := missing(ctx, spec); notice != "" {
				view.Show(engine.Notice{Message: notice})
			}
		case <-ctx.Done():
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// missing says that the local service, or the folder, is not there. Visitors are told so,
// too, but not who opened the tunnel. "" if it is there, or nobody wants to know any more.
func missing(ctx context.Context, spec engine.Spec) string {
	f, err := forwarder.New(forwarder.Config{Target: spec.Target, RootCAs: spec.RootCAs})
	if err != nil {
		return "" // the tunnel would not have been opened
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	var reset *wire.ResetError
	if err := f.Check(ctx); !errors.As(err, &reset) || ctx.Err() != nil {
		return ""
	}
	return reset.Message
}

// tell says what is for the person who started the program: programs that read
// JSON lines have no use for it.
func (c *httpCmd) tell(view console.Console, log io.Writer, notice string) {
	if c.JSON {
		fmt.Fprintf(log, "culvert: notice: %s\n", notice)
	} else {
		view.Show(engine.Notice{Message: notice})
	}
}

// view shows the tunnel, and says how much of the log is of interest beside it.
func (c *httpCmd) view(out *output, backend *url.URL, gone func(error)) (console.Console, slog.Level) {
	if c.JSON {
		return console.NewJSON(out.stdout, c.Target.String(), gone), slog.LevelInfo
	}
	cfg := terminal(out.stdout)
	cfg.Target = c.Target.String()
	if backend != nil { // without what may hold a token
		cfg.Backend = (&url.URL{Scheme: backend.Scheme, Host: backend.Host, Path: backend.Path}).String()
	}
	return console.NewText(out.stdout, cfg, gone), slog.LevelWarn
}

func flush(lines *console.Lines) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	lines.Close(ctx)
}
