package runtime

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	maxErrorBody      = 1 << 20 // bytes of what a function says about its failure
	apiHeaderTimeout  = 10 * time.Second
	runtimeAPIVersion = "/2018-06-01"
)

// serve answers the process's calls to the runtime API, until the returned function is
// called. That waits for the calls that are being answered.
func (p *process) serve(listener net.Listener) (stop func()) {
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if p.enter() {
				defer p.calls.Done()
				h(w, r)
			}
		})
	}
	handle("GET "+runtimeAPIVersion+"/runtime/invocation/next", p.next)
	handle("POST "+runtimeAPIVersion+"/runtime/invocation/{id}/response", p.response)
	handle("POST "+runtimeAPIVersion+"/runtime/invocation/{id}/error", p.failed)
	handle("POST "+runtimeAPIVersion+"/runtime/init/error", p.initFailed)
	// What aws-lambda-go's WithEnableSIGTERM needs of the extensions API.
	handle("POST /2020-01-01/extension/register", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", newRequestID())
		reply(w, http.StatusOK, map[string]string{
			"functionName": p.cfg.Name, "functionVersion": "$LATEST", "handler": "bootstrap"})
	})
	handle("GET /2020-01-01/extension/event/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-p.exited:
		case <-r.Context().Done():
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: apiHeaderTimeout}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) // until closed
	}()
	return func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		server.Close()
		<-served
		p.calls.Wait()
	}
}

func (p *process) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.calls.Add(1)
	}
	return !p.closed
}

// next hands out invocations. To ask is to say that the last one is over.
func (p *process) next(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.asking {
		p.mu.Unlock()
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "another call for the next invocation is waiting")
		return
	}
	p.asking = true
	if !p.ready {
		p.ready = true
		close(p.inited)
	}
	if p.current != nil {
		close(p.current.over)
		p.current = nil
	}
	p.mu.Unlock()

	var inv *invocation
	select {
	case inv = <-p.work:
	case <-p.exited:
	case <-r.Context().Done():
	}
	p.mu.Lock()
	p.asking = false
	p.current = inv
	p.mu.Unlock()
	if inv == nil {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.RequestID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", p.cfg.arn())
	h.Set("Lambda-Runtime-Trace-Id", inv.TraceID)
	if inv.ClientContext != "" {
		h.Set("Lambda-Runtime-Client-Context", inv.ClientContext)
	}
	w.Write(inv.payload) // a process that did not get it is noticed when it exits
}

// running returns the invocation that the call is about, or nil.
func (p *process) running(r *http.Request) *invocation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.RequestID != r.PathValue("id") {
		return nil
	}
	return p.current
}

func (p *process) response(w http.ResponseWriter, r *http.Request) {
	inv := p.running(r)
	if inv == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	err := inv.respond(r.Header.Get("Content-Type"), r.Body, func() http.Header { return r.Trailer })
	switch {
	case errors.Is(err, errAnswered):
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the invocation has been answered")
	case errors.Is(err, errResponseTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", err.Error())
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidResponse", err.Error())
	default:
		accept(w)
	}
}

func (p *process) failed(w http.ResponseWriter, r *http.Request) {
	inv := p.running(r)
	if inv == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	payload, ok := readError(w, r)
	if !ok {
		return
	}
	if err := inv.fail(payload); err != nil {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the invocation has been answered")
		return
	}
	accept(w)
}

func (p *process) initFailed(w http.ResponseWriter, r *http.Request) {
	payload, ok := readError(w, r)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready || p.initErr != nil {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the environment has started, or failed to")
		return
	}
	p.initErr = payload
	close(p.initFail)
	accept(w)
}

// readError reads what a function says about its failure. Lambda gives callers JSON
// whatever it was.
func readError(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxErrorBody+1))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidErrorShape", err.Error())
		return nil, false
	case len(payload) > maxErrorBody || !json.Valid(payload):
		return failure(orDefault(r.Header.Get("Lambda-Runtime-Function-Error-Type"), "Function.Unknown"),
			"the function failed and gave no readable reason").Payload, true
	}
	return payload, true
}

func accept(w http.ResponseWriter) {
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	reply(w, status, map[string]string{"errorType": kind, "errorMessage": message})
}

func reply(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // of strings: only the connection can fail
}
