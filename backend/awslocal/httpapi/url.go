package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"culvert/backend/awslocal/runtime"
)

// URLConfig describes a function URL of auth type NONE.
type URLConfig struct {
	// Function is invoked whole (BUFFERED), or if it is nil:
	Function runtime.Function
	// Streamer answers as it goes (RESPONSE_STREAM).
	Streamer runtime.Streamer

	ID        string // default: 32 letters and digits
	AccountID string // default 123456789012
	Region    string // default us-east-1
	// Proto and Port are what X-Forwarded-Proto and X-Forwarded-Port say; default https, 443.
	Proto, Port string

	// AllowInvokeFunctionURL and AllowInvokeFunction are the two permissions that
	// everybody (principal *) needs since October 2025: lambda:InvokeFunctionUrl, and
	// lambda:InvokeFunction with the condition InvokedViaFunctionUrl. Without one of
	// them every answer is 403.
	// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
	AllowInvokeFunctionURL, AllowInvokeFunction bool

	Timeout time.Duration // default and at most 15 min
	Log     func(Access)  // called after every request; must not block
}

// URL is a function URL. It is an http.Handler without goroutines of its own.
type URL struct{ cfg URLConfig }

// NewURL checks the config.
func NewURL(c URLConfig) (*URL, error) {
	if (c.Function == nil) == (c.Streamer == nil) {
		return nil, errors.New("function url: either a Function or a Streamer is needed")
	}
	c.ID = orDefault(c.ID, "abcdefghijklmnopqrstuvwxyz012345")
	c.AccountID = orDefault(c.AccountID, "123456789012")
	c.Region = orDefault(c.Region, "us-east-1")
	c.Proto = orDefault(c.Proto, "https")
	c.Port = orDefault(c.Port, "443")
	c.Timeout = orDefault(c.Timeout, runtime.MaxTimeout)
	if c.Timeout < 0 || c.Timeout > runtime.MaxTimeout {
		return nil, fmt.Errorf("function url: timeout %v: Lambda allows up to %v", c.Timeout, runtime.MaxTimeout)
	}
	if c.Log == nil {
		c.Log = func(Access) {}
	}
	return &URL{cfg: c}, nil
}

// Server returns a server for the URL, ready to Serve.
func (u *URL) Server() *http.Server { return newServer(u) }

// ServeHTTP answers a visitor's request by way of the function.
func (u *URL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	access := Access{RequestID: newUUID(), SourceIP: sourceIP(r), Method: r.Method, RouteKey: "$default",
		Protocol: r.Proto, Time: time.Now()}
	defer func() { u.cfg.Log(access) }()
	w.Header().Set("X-Amzn-Requestid", access.RequestID)
	patience := http.NewResponseController(w)
	patience.SetReadDeadline(access.Time.Add(bodyTimeout))
	payload, trace, ans := u.event(r, &access)
	if ans == nil { // or else the server reads what is left of the body
		patience.SetReadDeadline(time.Time{})
	}
	patience.SetWriteDeadline(time.Now().Add(u.cfg.Timeout + answerTimeout))
	if ans != nil {
		access.Status, access.ResponseLength = ans.status, int64(len(ans.body))
		ans.write(w, r.Method)
		return
	}
	ctx, cancel := context.WithTimeout(runtime.WithCall(r.Context(), runtime.Call{TraceID: trace}), u.cfg.Timeout)
	defer cancel()
	if u.cfg.Streamer != nil {
		u.stream(ctx, w, r, payload, &access)
		return
	}
	result, err := u.cfg.Function.Invoke(ctx, payload)
	if err == nil && result.FunctionError != "" {
		err = &runtime.FunctionError{Payload: result.Payload}
	}
	if err == nil {
		ans, err = parseAnswer(result.Payload, V2, "application/json")
	}
	if err != nil {
		ans = urlFailure(err, &access)
	}
	access.Status, access.ResponseLength = ans.status, int64(len(ans.body))
	ans.write(w, r.Method)
}

// event makes the payload, or an answer without the function.
func (u *URL) event(r *http.Request, access *Access) (payload []byte, trace string, _ *answer) {
	if !u.cfg.AllowInvokeFunctionURL || !u.cfg.AllowInvokeFunction {
		access.IntegrationError = "a permission is missing: lambda:InvokeFunctionUrl and lambda:InvokeFunction are both needed"
		return nil, "", urlMessage(http.StatusForbidden, "AccessDeniedException", `{"Message":"Forbidden"}`)
	}
	in, err := readRequest(r, access, runtime.MaxRequest)
	if errors.Is(err, errBodyTooLarge) {
		return nil, "", urlMessage(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", `{"Message":"Request Entity Too Large"}`)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, "", urlMessage(http.StatusRequestTimeout, "RequestTimeoutException", `{"Message":"Request Timeout"}`)
	}
	if err != nil {
		return nil, "", urlMessage(http.StatusBadRequest, "BadRequestException", `{"Message":"Bad Request"}`)
	}
	in.forward(u.cfg.Proto, u.cfg.Port)
	e := newEventV2(in, in.path)
	e.RouteKey = "$default"
	c := &e.RequestContext
	// Visitors who are not known to AWS belong to no account.
	c.AccountID, c.APIID, c.RouteKey, c.Stage = "anonymous", u.cfg.ID, "$default", "$default"
	c.DomainName, c.DomainPrefix = u.Domain(), u.cfg.ID
	payload, err = json.Marshal(e)
	if err != nil {
		return nil, "", urlFailure(err, access)
	}
	return payload, in.trace(), nil
}

// Domain is the host name that AWS would give the URL; events carry it whatever the
// host that was asked.
func (u *URL) Domain() string { return u.cfg.ID + ".lambda-url." + u.cfg.Region + ".on.aws" }

// stream passes on what the function says as soon as it says it.
func (u *URL) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, payload []byte, access *Access) {
	head, body, err := u.cfg.Streamer.InvokeStream(ctx, payload)
	if err != nil {
		ans := urlFailure(err, access)
		access.Status, access.ResponseLength = ans.status, int64(len(ans.body))
		ans.write(w, r.Method)
		return
	}
	// A visitor who leaves, or stays too long, hears no more of a function that goes on.
	stop := context.AfterFunc(ctx, func() { body.Close() })
	defer func() {
		stop()
		body.Close()
	}()
	ans, err := streamHead(head)
	if err != nil {
		ans = urlFailure(err, access)
		access.Status, access.ResponseLength = ans.status, int64(len(ans.body))
		ans.write(w, r.Method)
		return
	}
	access.Status = ans.status
	copyHeader(w.Header(), ans.header)
	if r.Method == http.MethodHead && ans.declares() {
		w.Header().Set("Content-Length", ans.header.Get("Content-Length"))
	}
	w.WriteHeader(ans.status)
	flush := http.NewResponseController(w)
	flush.Flush()
	if r.Method == http.MethodHead || ans.status == http.StatusNoContent || ans.status == http.StatusNotModified {
		return
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			access.ResponseLength += int64(n)
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			flush.Flush()
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			access.IntegrationError = err.Error()
			panic(http.ErrAbortHandler) // the visitor must see that this is not the end
		}
	}
}

// streamHead turns a function's head into the visitor's. One that sent none meant its
// bytes as they are.
func streamHead(head runtime.Head) (*answer, error) {
	if !head.Integration {
		return &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/octet-stream"}}}, nil
	}
	ans := &answer{status: head.StatusCode, header: make(http.Header)}
	if ans.status < 200 || ans.status > 599 {
		return nil, fmt.Errorf("status code %d", ans.status)
	}
	for name, value := range head.Headers {
		if err := ans.add(name, value); err != nil {
			return nil, err
		}
	}
	for _, cookie := range head.Cookies {
		if err := ans.add("Set-Cookie", cookie); err != nil {
			return nil, err
		}
	}
	return ans, nil
}

// urlFailure is the answer to a failed invocation.
func urlFailure(err error, access *Access) *answer {
	access.IntegrationError = err.Error()
	switch {
	case errors.Is(err, runtime.ErrThrottled):
		return urlMessage(http.StatusTooManyRequests, "TooManyRequestsException",
			`{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`)
	case errors.Is(err, runtime.ErrTooLarge):
		return urlMessage(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", `{"Message":"Request Entity Too Large"}`)
	case errors.Is(err, context.DeadlineExceeded):
		return urlMessage(http.StatusGatewayTimeout, "", `{"Message":"Gateway Timeout"}`)
	}
	return urlMessage(http.StatusBadGateway, "InternalServerErrorException", `{"Message":"Internal Server Error"}`)
}

func urlMessage(status int, kind, body string) *answer {
	header := http.Header{"Content-Type": {"application/json"}}
	if kind != "" {
		header.Set("X-Amzn-Errortype", kind)
	}
	return &answer{status: status, header: header, body: []byte(body)}
}

func newUUID() string {
	b := random(16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
