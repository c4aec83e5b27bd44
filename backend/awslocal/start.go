package awslocal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/httpapi"
	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/program"
	"culvert/backend/awslocal/ssm"
	"culvert/backend/awslocal/wsapi"
)

// Start starts everything and returns when it is ready: until then nobody is
// listening at the addresses that were asked for. The context bounds the start, not
// the life. What fails leaves nothing behind.
func (l *Local) Start(ctx context.Context) error {
	err := l.start(ctx)
	if err != nil {
		l.Close()
	}
	return err
}

func (l *Local) start(ctx context.Context) error {
	addresses, err := l.claim()
	if err != nil {
		return err
	}
	defer addresses.release()
	if l.cfg.S3 != nil { // before the database, which takes seconds
		if err := makeBucket(ctx, l.cfg.S3, l.bucket()); err != nil {
			return err
		}
	}
	if err := l.makeSQS(ctx); err != nil {
		return err
	}
	upstream, tableKey, err := l.database(ctx)
	if err != nil {
		return err
	}
	l.urls.tableKey = tableKey
	if err := makeTables(ctx, upstream, tableKey, l.cfg.Name, l.cfg.Tables); err != nil {
		return err
	}
	who := newRoles(l.cfg.Name)
	store := ssm.New(region, account)
	if err := l.services(who, upstream, store); err != nil {
		return err
	}
	shared := rate.NewLimiter(accountRate, accountBurst)
	if err := l.waitersAPI(who, shared); err != nil {
		return err
	}
	l.name(addresses)
	if err := l.delayPosts(); err != nil {
		return err
	}
	if err := l.makeFunctions(who); err != nil {
		return err
	}
	if err := l.makeKeys(ctx, store); err != nil {
		return err
	}
	if err := l.open(addresses, who, shared); err != nil {
		return err
	}
	return l.mapQueues(who) // the last to start is the first to stop: nothing asks a queue for what nobody would do
}

// database returns a DynamoDB, and the access key ID under which it has our tables.
func (l *Local) database(ctx context.Context) (*url.URL, string, error) {
	if l.cfg.DynamoDB != nil {
		return l.cfg.DynamoDB, "culvert", nil
	}
	l.say("starting DynamoDB Local")
	// Nobody else knows the key ID, so nobody else on the network finds the tables.
	server, err := dynamolocal.Start(ctx, dynamolocal.Config{Output: l.cfg.Output})
	if err != nil {
		return nil, "", err
	}
	l.killDatabase = server.Kill
	l.watch(server.Process)
	u, err := url.Parse(server.Endpoint())
	return u, rand.Text(), err
}

// watch ends everything when a program does, and the program when everything ends.
func (l *Local) watch(p *program.Process) {
	var watching sync.WaitGroup
	watching.Go(func() {
		<-p.Exited()
		if err := p.Err(); err != nil {
			l.end(err)
		}
	})
	l.onClose(func() {
		p.Close()
		watching.Wait()
	})
}

// services stands the meter in front of what functions call.
func (l *Local) services(who roles, upstream *url.URL, store *ssm.Store) (err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: time.Minute}
	l.onClose(transport.CloseIdleConnections)
	l.urls.dynamodb, err = l.serveInside(l.meter.DynamoDB(meter.DynamoDB{
		Upstream: upstream, AccessKeyID: l.urls.tableKey, Region: region, Account: account, Callers: who.of,
		Client: &http.Client{Transport: transport}, Delay: l.cfg.Delay,
	}))
	if err != nil {
		return err
	}
	if l.urls.parameters, err = l.serveInside(l.meter.ParameterStore(store, region, account, who.of)); err != nil {
		return err
	}
	if l.cfg.S3 != nil {
		l.urls.s3, err = l.serveInside(l.meter.S3(meter.S3{Upstream: l.cfg.S3, Callers: who.of, Transport: transport, Delay: l.cfg.Delay}))
		if err != nil {
			return err
		}
	}
	if l.cfg.SQS != nil {
		l.urls.sqs, err = l.serveInside(l.meter.SQS(meter.SQS{
			Upstream: l.cfg.SQS, Region: region, Account: account, Callers: who.of, Allowed: who.Allowed, Transport: transport, Delay: l.cfg.Delay,
		}))
	}
	return err
}

// delayPosts has the functions' calls of @connections take as long as the config
// says, by a detour: they are signed for the host that they are sent to, which the
// detour keeps.
func (l *Local) delayPosts() error {
	if l.cfg.Delay == nil {
		return nil
	}
	for _, api := range []*string{&l.urls.agentsAPI, &l.urls.waitersAPI} {
		to, err := url.Parse(*api)
		if err != nil || *api == "" {
			continue
		}
		to.Path = ""
		proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
		}}
		base, err := l.serveInside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			timer := time.NewTimer(l.cfg.Delay("PostToConnection"))
			defer timer.Stop()
			select {
			case <-timer.C:
				proxy.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		}))
		if err != nil {
			return err
		}
		*api = base + "/" + stage
	}
	return nil
}

func (l *Local) bucket() string { return l.cfg.Name + "-bodies" }

// serveInside serves what only the functions, and agents by presigned URLs, call.
func (l *Local) serveInside(h http.Handler) (base string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the functions: %w", err)
	}
	l.serve(ln, &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second})
	return "http://" + ln.Addr().String(), nil
}

// patience is how long requests under way may go on once everything is stopping.
const patience = 2 * time.Second

// serve serves until Close.
func (l *Local) serve(ln net.Listener, server *http.Server) {
	var served sync.WaitGroup
	served.Go(func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			l.end(fmt.Errorf("%s accepts nobody any more: %w", ln.Addr(), err))
		}
	})
	l.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		served.Wait()
	})
}

// name decides all URLs.
func (l *Local) name(a *addresses) {
	httpHost, wsHost := reached(a.http.address), reached(a.ws.address)
	l.urls.public = "http://" + httpHost
	if l.cfg.Subdomains {
		_, port, _ := net.SplitHostPort(httpHost)
		l.urls.subdomain = "http://localhost:" + port
	}
	if a.function.address != "" {
		l.urls.stream = "http://" + reached(a.function.address)
	}
	l.urls.agents = "ws://" + wsHost
	l.urls.agentsAPI = "http://" + wsHost + "/" + stage
}

// waitersAPI starts the API that no agent and no visitor ever sees.
func (l *Local) waitersAPI(who roles, shared *rate.Limiter) error {
	if l.cfg.NoWaiters {
		return nil
	}
	api, err := wsapi.New(wsapi.Config{
		ID: waitersAPIID, Stage: stage, Region: region, Account: account, RouteSelection: routeSelection,
		RequireStage: true, Principals: who,
		Routes: map[string]wsapi.Route{
			"$connect": {IAM: true, RouteResponse: true, Mock: &wsapi.Mock{Request: `{"statusCode": 200}`}},
			"whoami": {RouteResponse: true, Mock: &wsapi.Mock{
				Request: `{"statusCode": 200}`, Response: `{"connectionId":"$context.connectionId"}`,
			}},
		},
		AccountThrottle: shared, Clock: l.cfg.Clock, Chaos: l.cfg.WaitersChaos, Observer: l.meter, Log: l.cfg.Log,
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the functions: %w", err)
	}
	l.onClose(api.Close)
	l.urls.waiters = "ws://" + ln.Addr().String() + "/" + stage
	l.urls.waitersAPI = "http://" + ln.Addr().String() + "/" + stage
	l.waiters = api
	return api.Start(ln)
}

// actionRoutes are the actions that are answered by what the function returns. All
// others come by $default.
func actionRoutes() []string {
	return []string{"authorize", "connections", "echo", "ping", "reverse", "timestamp", "uppercase"}
}

// open lets the world in: agents, then visitors.
func (l *Local) open(a *addresses, who roles, shared *rate.Limiter) error {
	agents := &wsapi.Lambda{Function: l.front(Agents), Permissions: []wsapi.Permission{{
		Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com",
		SourceArn: wsapi.ExecuteARN(region, account, agentsAPIID, "*/*"),
	}}}
	routes := map[string]wsapi.Route{
		"$connect": {Lambda: agents, Throttle: rate.NewLimiter(connectRate, connectBurst)},
		"$default": {Lambda: agents}, "$disconnect": {Lambda: agents},
	}
	for _, action := range actionRoutes() {
		routes[action] = wsapi.Route{Lambda: agents, RouteResponse: true}
	}
	api, err := wsapi.New(wsapi.Config{
		ID: agentsAPIID, Stage: stage, Region: region, Account: account, RouteSelection: routeSelection, Principals: who,
		Routes:          routes,
		AccountThrottle: shared, Clock: l.cfg.Clock, Chaos: l.cfg.Chaos, Observer: l.meter, Log: l.cfg.Log,
	})
	if err != nil {
		return err
	}
	ln, err := a.ws.take()
	if err != nil {
		return err
	}
	l.onClose(api.Close)
	l.agents = api
	if err := api.Start(ln); err != nil {
		return err
	}
	if a.function.address != "" {
		if err := l.openFunctionURL(a); err != nil {
			return err
		}
	}
	public, err := httpapi.New(httpapi.Config{
		Function: l.front(Public), Format: l.cfg.Format, ID: publicAPIID, AccountID: account, Region: region,
		Proto: "http", Port: portOf(a.http.address), Account: shared,
		SourceARN: wsapi.ExecuteARN(region, account, publicAPIID, "*/*"),
	})
	if err != nil {
		return err
	}
	if ln, err = a.http.take(); err != nil {
		return err
	}
	server := public.Server()
	server.Handler = l.meter.HTTPAPI(server.Handler)
	l.serve(ln, server)
	return nil
}

func (l *Local) openFunctionURL(a *addresses) error {
	u, err := httpapi.NewURL(httpapi.URLConfig{
		Streamer: l.functions[Stream], ID: streamURLID, AccountID: account, Region: region,
		Proto: "http", Port: portOf(a.function.address), AllowInvokeFunctionURL: true, AllowInvokeFunction: true,
	})
	if err != nil {
		return err
	}
	ln, err := a.function.take()
	if err != nil {
		return err
	}
	l.serve(ln, u.Server())
	return nil
}
