// Package httpapi stands in for what brings visitors' requests to a Lambda function:
// API Gateway's HTTP APIs with either payload format, and function URLs with streamed
// answers. It keeps their limits, and does to requests and answers what they do, the
// harmful things included: a program that works behind it meets nothing new on AWS.
//
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"culvert/backend/awslocal/runtime"
)

// Quotas of HTTP APIs, none of which can be raised.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
const (
	MaxBody    = 10 << 20 // bytes of a request's body
	MaxHeaders = 10240    // bytes of the request line and all header fields
	MaxTime    = 30 * time.Second

	// How long a visitor may take to send a body, and to take an answer that is whole.
	bodyTimeout   = time.Minute
	answerTimeout = time.Minute

	defaultRate  = 10000 // requests a second, of the whole account
	defaultBurst = 5000
)

// Format is a payload format version.
type Format string

// The payload formats.
const (
	V1 Format = "1.0"
	V2 Format = "2.0"
)

// Config describes an HTTP API with one route to one function.
type Config struct {
	Function runtime.Function
	Format   Format // default V2

	ID        string // default "a1b2c3d4e5"
	AccountID string // default 123456789012
	Region    string // default us-east-1
	Stage     string // default "$default"; another one is the path's first segment, and stays in it
	RouteKey  string // as in events and ARNs; default "$default"

	// Domains are custom domains, mapped to the stage. With none, every host is
	// served; with some, those hosts, loopback ones and the API's own endpoint.
	Domains []Domain
	// Proto and Port are what X-Forwarded-Proto and X-Forwarded-Port say: https and
	// 443 by default, as there is nothing else on AWS.
	Proto, Port string

	// SourceARN is the pattern of the permission by which the API may invoke the
	// function; "" permits it. The API shows ARN(…)/STAGE/ROUTE, and a pattern that
	// does not match makes every answer a 500 that nobody logs.
	SourceARN string

	Rate    float64       // requests per second of the stage; default 10,000
	Burst   int           // default 5,000, or what Rate allows in a second if that is less
	Account *rate.Limiter // of all APIs together; nil for none
	Timeout time.Duration // of the integration; default and at most 30 s

	Log func(Access) // called after every request; must not block
}

// Domain is a custom domain name.
type Domain struct {
	Name string // "tunnel.example.com", or "*.tunnel.example.com" for every label below
	// MappingKey is the path's first segment that leads to the stage, and stays in it.
	MappingKey string
}

// Access is what an access log line is made of.
type Access struct {
	RequestID, SourceIP, Method, RouteKey, Protocol string
	Time                                            time.Time
	Status                                          int
	ResponseLength                                  int64
	// IntegrationError says what the visitor is not told.
	IntegrationError string
}

// API is an HTTP API. It is an http.Handler without goroutines of its own.
type API struct {
	cfg   Config
	stage *rate.Limiter
}

// New checks the config.
func New(c Config) (*API, error) {
	if c.Function == nil {
		return nil, errors.New("http api: no function was given")
	}
	c.Format = orDefault(c.Format, V2)
	if c.Format != V1 && c.Format != V2 {
		return nil, fmt.Errorf("http api: payload format %q: there are 1.0 and 2.0", c.Format)
	}
	c.ID = orDefault(c.ID, "a1b2c3d4e5")
	c.AccountID = orDefault(c.AccountID, "123456789012")
	c.Region = orDefault(c.Region, "us-east-1")
	c.Stage = orDefault(c.Stage, "$default")
	c.RouteKey = orDefault(c.RouteKey, "$default")
	c.Proto = orDefault(c.Proto, "https")
	c.Port = orDefault(c.Port, "443")
	c.Rate = orDefault(c.Rate, defaultRate)
	c.Burst = orDefault(c.Burst, min(defaultBurst, max(1, int(c.Rate))))
	c.Timeout = orDefault(c.Timeout, MaxTime)
	if c.Rate < 0 || c.Burst < 0 {
		return nil, errors.New("http api: negative rate or burst")
	}
	if c.Timeout < 0 || c.Timeout > MaxTime {
		return nil, fmt.Errorf("http api: timeout %v: API Gateway allows up to %v", c.Timeout, MaxTime)
	}
	for _, d := range c.Domains {
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("http api: %w", err)
		}
	}
	if c.Log == nil {
		c.Log = func(Access) {}
	}
	return &API{cfg: c, stage: rate.NewLimiter(rate.Limit(c.Rate), c.Burst)}, nil
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Server returns a server for the API, ready to Serve.
func (a *API) Server() *http.Server { return newServer(a) }

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       350 * time.Second,
		MaxHeaderBytes:    64 << 10, // the handler measures more closely

		DisableGeneralOptionsHandler: true,
	}
}

// ServeHTTP answers a visitor's request by way of the function.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	access := Access{RequestID: newGatewayID(), SourceIP: sourceIP(r), Method: r.Method, RouteKey: a.cfg.RouteKey,
		Protocol: r.Proto, Time: time.Now()}
	patience := http.NewResponseController(w) // what it cannot time is no socket
	patience.SetReadDeadline(access.Time.Add(bodyTimeout))
	ans := a.answer(r, &access, func() { patience.SetReadDeadline(time.Time{}) })
	// The server reads what is left of a refused body: that deadline stays.
	patience.SetWriteDeadline(time.Now().Add(answerTimeout))
	ans.header.Set("Apigw-Requestid", access.RequestID)
	access.Status, access.ResponseLength = ans.status, int64(len(ans.body))
	ans.write(w, r.Method)
	a.cfg.Log(access)
}

// answer calls whole once the request is read.
func (a *API) answer(r *http.Request, access *Access, whole func()) *answer {
	if requestSize(r) > MaxHeaders {
		return message(http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large")
	}
	switch a.route(r) {
	case noHost:
		return message(http.StatusForbidden, "Forbidden")
	case noStage:
		return message(http.StatusNotFound, "Not Found")
	}
	if a.cfg.Account != nil && !a.cfg.Account.Allow() || !a.stage.Allow() {
		return message(http.StatusTooManyRequests, "Too Many Requests")
	}
	in, err := readRequest(r, access, MaxBody)
	switch {
	case err == nil:
		whole()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return message(http.StatusRequestTimeout, "Request Timeout")
	case errors.Is(err, errBodyTooLarge):
		return message(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	default:
		return message(http.StatusBadRequest, "Bad Request")
	}
	in.forward(a.cfg.Proto, a.cfg.Port)
	fail := func(status int, why string) *answer {
		access.IntegrationError = why
		return message(status, http.StatusText(status))
	}
	if a.cfg.SourceARN != "" && !matchARN(a.cfg.SourceARN, a.sourceARN(r.Method)) {
		return fail(http.StatusInternalServerError, "The IAM role configured on the integration or API Gateway doesn't have permissions to call the integration.")
	}
	var event any
	if a.cfg.Format == V1 {
		event = a.eventV1(in)
	} else {
		event = a.eventV2(in)
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	ctx, cancel := context.WithTimeout(runtime.WithCall(r.Context(), runtime.Call{TraceID: in.trace()}), a.cfg.Timeout)
	defer cancel()
	result, err := a.cfg.Function.Invoke(ctx, payload)
	switch {
	case errors.Is(err, runtime.ErrTooLarge):
		access.IntegrationError = err.Error()
		return message(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.Is(err, context.DeadlineExceeded):
		return fail(http.StatusServiceUnavailable, "Endpoint request timed out")
	case errors.Is(err, runtime.ErrThrottled):
		return fail(http.StatusServiceUnavailable, "Rate Exceeded.")
	case result.FunctionError != "":
		return fail(http.StatusInternalServerError, "The Lambda function returned the following error: "+string(result.Payload))
	case err != nil:
		return fail(http.StatusServiceUnavailable, err.Error())
	}
	ans, err := parseAnswer(result.Payload, a.cfg.Format, "text/plain;charset=UTF-8")
	if err != nil {
		return fail(http.StatusInternalServerError, "The response from the Lambda function doesn't match the format that API Gateway expects: "+err.Error())
	}
	return ans
}

// ARN names the API; permissions add stage and route.
func (a *API) ARN() string {
	return "arn:aws:execute-api:" + a.cfg.Region + ":" + a.cfg.AccountID + ":" + a.cfg.ID
}

// message is an answer of the gateway's own.
func message(status int, text string) *answer {
	return &answer{status: status, header: http.Header{"Content-Type": {"application/json"}},
		body: []byte(`{"message":` + strconv.Quote(text) + `}`)}
}
