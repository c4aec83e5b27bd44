package wsapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"culvert/backend/awslocal/runtime"
)

// Function is something that can be invoked with an event.
type Function interface {
	Invoke(ctx context.Context, payload []byte) (runtime.Result, error)
}

// Texts of the frames that API Gateway itself sends to a client whose message came to nothing.
const (
	messageInternal  = "Internal server error"
	messageTimeout   = "Endpoint request timed out"
	messageForbidden = "Forbidden"
	messageThrottled = "Too Many Requests"
)

// failure is an integration that gave no answer.
type failure struct {
	frame   string // what the client is told
	status  int    // of the handshake, on $connect
	problem string // for logs
}

// proxyResult is the answer of an AWS_PROXY integration.
type proxyResult struct {
	StatusCode        int                 `json:"statusCode"`
	Headers           map[string]any      `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Body              string              `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

// integrate runs a route's integration for an event.
func (a *API) integrate(key string, r Route, e *event) (proxyResult, *failure) {
	var result proxyResult
	var failed *failure
	if r.Mock != nil {
		result, failed = r.Mock.run(e.RequestContext)
	} else {
		result, failed = a.invoke(key, r.Lambda, e)
	}
	used := Usage{Kind: Integrated, Connection: e.RequestContext.ConnectionID, Route: key, Status: result.StatusCode}
	if failed != nil {
		used.Problem = failed.problem
		a.log.Warn("integration failed", "api", a.cfg.ID, "route", key, "connection", e.RequestContext.ConnectionID, "problem", failed.problem)
	}
	a.observe(used)
	return result, failed
}

// invoke runs a function for an event. A function that takes too long is no longer
// waited for, but runs on: AWS does not stop it either.
func (a *API) invoke(key string, l *Lambda, e *event) (proxyResult, *failure) {
	payload, failed := a.call(a.cfg.Stage+"/"+key, l, e)
	if failed != nil {
		return proxyResult{}, failed
	}
	var result proxyResult
	if err := json.Unmarshal(payload, &result); err != nil || result.StatusCode < 200 || result.StatusCode > 599 {
		return proxyResult{}, &failure{messageInternal, 502, "malformed answer: an object with statusCode is needed"}
	}
	if result.IsBase64Encoded {
		body, err := base64.StdEncoding.DecodeString(result.Body)
		if err != nil {
			return proxyResult{}, &failure{messageInternal, 502, "malformed answer: the body is not base64"}
		}
		result.Body = string(body)
	}
	return result, nil
}

// call gives what a function returns, as it is. source is the part of the API that
// invokes it.
func (a *API) call(source string, l *Lambda, e *event) ([]byte, *failure) {
	if arn := a.arn(source); !permitted(l.Permissions, arn) {
		return nil, &failure{messageInternal, 500, "no permission of the function fits " + arn}
	}
	event, err := json.Marshal(e)
	if err != nil {
		return nil, &failure{messageInternal, 500, "the event cannot be encoded: " + err.Error()}
	}
	type outcome struct {
		runtime.Result
		err error
	}
	done := make(chan outcome, 1)
	if !a.background(func() {
		result, err := l.Function.Invoke(a.ctx, event)
		done <- outcome{result, err}
	}) {
		return nil, &failure{messageInternal, 503, "the API is closed"}
	}
	timer := time.NewTimer(a.cfg.Limits.Integration)
	defer timer.Stop()
	var got outcome
	select {
	case <-timer.C:
		return nil, &failure{messageTimeout, 504, "no answer within " + a.cfg.Limits.Integration.String()}
	case got = <-done:
	}
	switch {
	case errors.Is(got.err, runtime.ErrThrottled):
		return nil, &failure{messageInternal, 500, "the function is throttled"}
	case got.FunctionError != "":
		return nil, &failure{messageInternal, 502, fmt.Sprintf("the function failed (%s): %.200s", got.FunctionError, got.Payload)}
	case got.err != nil:
		return nil, &failure{messageInternal, 502, "the function cannot be invoked: " + got.err.Error()}
	}
	return got.Payload, nil
}
