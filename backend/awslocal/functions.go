package awslocal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/ssm"
)

// Timeouts are the template's.
func timeoutOf(r Role) time.Duration {
	switch r {
	case Agents:
		return 20 * time.Second
	case Public:
		return 29 * time.Second
	case Processor:
		return 10 * time.Second
	case Stream:
		return runtime.MaxTimeout
	default:
		return 30 * time.Second
	}
}

// makeFunctions makes them all. None runs before it is needed.
func (l *Local) makeFunctions(who roles) error {
	shared := runtime.NewAccount(l.cfg.AccountConcurrency)
	all := []Role{Agents, Public, Keys}
	if l.urls.stream != "" {
		all = append(all, Stream)
	}
	if l.cfg.SQS != nil {
		all = append(all, Notices)
	}
	// The first, because the others are told where it is.
	if err := l.makeFunction(Processor, who, shared); err != nil {
		return err
	}
	if err := l.invocations(who); err != nil {
		return err
	}
	for _, role := range all {
		if err := l.makeFunction(role, who, shared); err != nil {
			return err
		}
	}
	return nil
}

// invocations serves Lambda's API for the functions.
func (l *Local) invocations(who roles) (err error) {
	f := l.functions[Processor]
	if f == nil {
		return nil
	}
	l.urls.lambda, err = l.serveInside(l.meter.Lambda(meter.Lambda{
		Functions: []*runtime.Lambda{f}, Callers: who.of, Allowed: who.Allowed, Delay: l.cfg.Delay,
		Throttled: func() bool { return l.cfg.Chaos.Strike(chaos.InvokeThrottled) },
	}))
	return err
}

// makeFunction makes one, unless there is nothing to make it of.
func (l *Local) makeFunction(role Role, who roles, shared *runtime.Account) error {
	factory, inProcess := l.cfg.InProcess[role]
	if !inProcess && l.cfg.Bootstrap == "" {
		return nil
	}
	c := runtime.Config{
		Name: string(role), Bootstrap: l.cfg.Bootstrap, Env: l.environment(role), Timeout: timeoutOf(role),
		KeepRunning: l.cfg.KeepRunning, Clock: l.cfg.Clock, Account: shared, Region: region, AccountID: account, Credentials: who.credentials[role],
		Observe: l.meter.Invoked,
		Log: func(line runtime.Line) {
			l.meter.Logged(line)
			l.cfg.Lines(line)
		},
	}
	switch role {
	case Public:
		c.Reserved = l.cfg.PublicConcurrency
	case Stream:
		c.Reserved = l.cfg.StreamConcurrency
	}
	var f *runtime.Lambda
	var err error
	if inProcess {
		f, err = runtime.InProcess(c, factory)
	} else {
		f, err = runtime.New(c)
	}
	if err != nil {
		return err
	}
	l.functions[role] = f
	l.onClose(f.Stop)
	return nil
}

// environment is what the template tells a function.
func (l *Local) environment(r Role) map[string]string {
	tables := tableNames(l.cfg.Name)
	env := map[string]string{
		"CULVERT_ROLE":      string(r),
		"CULVERT_LOG_LEVEL": "info",
	}
	if r != Processor && r != Notices {
		maps.Copy(env, map[string]string{
			"CULVERT_KEYS_PARAMETER": l.parameter(),
			"AWS_ENDPOINT_URL_SSM":   l.urls.parameters,
		})
	}
	if r == Agents || r == Public || r == Stream {
		maps.Copy(env, map[string]string{
			"AWS_ENDPOINT_URL_DYNAMODB": l.urls.dynamodb,
			"CULVERT_TUNNELS_TABLE":     tables.Tunnels,
			"CULVERT_ANSWERS_TABLE":     tables.Answers,
			"CULVERT_AGENTS_API":        l.urls.agentsAPI,
			"CULVERT_PUBLIC_URL":        l.urls.public,
			"CULVERT_SUBDOMAIN_URL":     l.urls.subdomain,
			"CULVERT_STREAM_URL":        l.urls.stream,
		})
		if l.cfg.S3 != nil {
			env["CULVERT_BUCKET"], env["AWS_ENDPOINT_URL_S3"] = l.bucket(), l.urls.s3
		}
	}
	switch r {
	case Agents:
		env["CULVERT_CONNECTIONS_TABLE"], env["CULVERT_USERS_TABLE"] = tables.Connections, tables.Users
		env["CULVERT_WAITERS_API"] = l.urls.waitersAPI
		env["CULVERT_AGENT_HOSTS"] = strings.TrimPrefix(l.urls.agents, "ws://")
		env["CULVERT_AUTH"], env["CULVERT_CONNECT_AUTH"] = "none", string(l.cfg.ConnectAuth)
		if l.cfg.tokens() {
			env["CULVERT_AUTH"] = "jwt"
		}
		env["CULVERT_JWKS"], env["CULVERT_TOKEN_AUDIENCE"], env["CULVERT_TOKEN_ISSUER"] = l.cfg.JWKS, l.cfg.Audience, l.cfg.Issuer
		if f := l.functions[Processor]; f != nil {
			env["CULVERT_PROCESSOR"], env["AWS_ENDPOINT_URL_LAMBDA"] = f.ARN(), l.urls.lambda
		}
	case Public, Stream:
		env["CULVERT_WAITERS_URL"] = l.urls.waiters
		env["CULVERT_ACCOUNT_CONCURRENCY"] = strconv.Itoa(l.cfg.AccountConcurrency)
		env["CULVERT_RESERVED"] = strconv.FormatBool(r == Public && l.cfg.PublicConcurrency > 0 || r == Stream && l.cfg.StreamConcurrency > 0)
	}
	if r == Notices {
		maps.Copy(env, map[string]string{
			"AWS_ENDPOINT_URL_DYNAMODB":     l.urls.dynamodb,
			"AWS_ENDPOINT_URL_SQS":          l.urls.sqs,
			"CULVERT_CONNECTIONS_TABLE":     tables.Connections,
			"CULVERT_USERS_TABLE":           tables.Users,
			"CULVERT_AGENTS_API":            l.urls.agentsAPI,
			"CULVERT_NOTIFY_USER_ARN":       queueARN(userQueue(l.cfg.Name)),
			"CULVERT_NOTIFY_CONNECTION_ARN": queueARN(connectionQueue(l.cfg.Name)),
			"CULVERT_NOTIFY_CONNECTION_URL": l.urls.sqs + "/" + account + "/" + connectionQueue(l.cfg.Name),
		})
	}
	for name, value := range env {
		if value == "" {
			delete(env, name)
		}
	}
	maps.Copy(env, l.cfg.Env)
	return env
}

func (l *Local) parameter() string { return "/culvert/" + l.cfg.Name + "/keys" }

// front is a function as gateways see it.
func (l *Local) front(r Role) runtime.Function {
	var f runtime.Function = l.functions[r]
	if l.cfg.Chaos != nil {
		f = &unruly{Function: f, recycle: l.functions[r].Recycle, chaos: l.cfg.Chaos}
	}
	if l.cfg.Wrap != nil {
		f = l.cfg.Wrap(r, f)
	}
	return f
}

// unruly is a function on a bad day.
type unruly struct {
	runtime.Function
	recycle func()
	chaos   *chaos.Source
}

// Invoke refuses, tarries, and has the next invocation start cold.
func (u *unruly) Invoke(ctx context.Context, payload []byte) (runtime.Result, error) {
	if u.chaos.Strike(chaos.InvokeThrottled) {
		return runtime.Result{}, runtime.ErrThrottled
	}
	if u.chaos.Strike(chaos.InvokeDelayed) {
		timer := time.NewTimer(u.chaos.Delay(chaos.InvokeDelayed))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return runtime.Result{}, ctx.Err()
		}
	}
	result, err := u.Function.Invoke(ctx, payload)
	if u.chaos.Strike(chaos.EnvironmentRetired) {
		u.recycle()
	}
	return result, err
}

// makeKeys has the keys' function do what it does when a stack is made, and so finds
// out whether the program works at all.
func (l *Local) makeKeys(ctx context.Context, store *ssm.Store) error {
	keys := l.functions[Keys]
	if keys == nil {
		return nil // functions in this process keep none
	}
	l.say("making the keys")
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(Keys))
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the keys' function: %w", err)
	}
	type outcome struct{ Status, Reason string }
	outcomes := make(chan outcome, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o outcome
		if json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&o) == nil {
			select {
			case outcomes <- o:
			default:
			}
		}
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(ln)
	}()
	defer func() {
		server.Close()
		<-served
	}()
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes-create.html
	event, _ := json.Marshal(map[string]any{ // of strings
		"RequestType": "Create", "RequestId": rand.Text(), "ResponseURL": "http://" + ln.Addr().String() + "/" + rand.Text(),
		"ResourceType": "Custom::CulvertKeys", "LogicalResourceId": "Keys",
		"StackId":            "arn:aws:cloudformation:" + region + ":" + account + ":stack/" + l.cfg.Name + "/" + rand.Text(),
		"ResourceProperties": map[string]string{"Parameter": l.parameter(), "Generation": "1"},
	})
	result, err := keys.Invoke(ctx, event)
	if err != nil {
		return fmt.Errorf("the keys' function: %w", err)
	}
	if result.FunctionError != "" {
		return fmt.Errorf("the bootstrap program does not work as the keys' function: %s", result.Payload)
	}
	select {
	case o := <-outcomes:
		if o.Status != "SUCCESS" {
			return fmt.Errorf("the keys' function made no keys: %s", o.Reason)
		}
	default:
		return errors.New("the keys' function has not told CloudFormation what became of the keys")
	}
	return l.useSecret(store)
}

// useSecret puts the token secret that was given in the place of the one that was made.
func (l *Local) useSecret(store *ssm.Store) error {
	if len(l.cfg.TokenSecret) == 0 {
		return nil
	}
	if !utf8.Valid(l.cfg.TokenSecret) {
		return errors.New("the secret for tokens is no text: on AWS it is kept as text, so take one in letters and digits")
	}
	text, ok := store.Value(l.parameter())
	if !ok {
		return fmt.Errorf("the keys' function made no parameter %s", l.parameter())
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return errors.New("the keys' function made a parameter that is no JSON")
	}
	v["tokens"] = []string{string(l.cfg.TokenSecret)}
	changed, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return store.Set(l.parameter(), string(changed))
}
