package runtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// InvokeAPI is Lambda's API as far as functions call each other through it: the Invoke
// operation. It is an http.Handler.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
type InvokeAPI struct {
	functions map[string]*Lambda
	allow     func(accessKeyID, functionARN string) bool
	mux       *http.ServeMux
}

// NewInvokeAPI makes the API for the functions. allow says who may invoke which; nil
// lets everyone who signs. Signatures are not verified: the access key is all that is
// asked for here.
func NewInvokeAPI(allow func(accessKeyID, functionARN string) bool, functions ...*Lambda) *InvokeAPI {
	a := &InvokeAPI{functions: make(map[string]*Lambda), allow: allow, mux: http.NewServeMux()}
	for _, f := range functions {
		a.functions[f.Name()] = f
	}
	a.mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", a.invoke)
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		invokeError(w, http.StatusNotFound, "UnknownOperationException", "only Invoke is served here")
	})
	return a
}

func (a *InvokeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (a *InvokeAPI) invoke(w http.ResponseWriter, r *http.Request) {
	call := Call{RequestID: newRequestID()}
	w.Header().Set("X-Amzn-Requestid", call.RequestID)
	key := accessKeyOf(r.Header.Get("Authorization"))
	if key == "" {
		invokeError(w, http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token")
		return
	}
	name := r.PathValue("name")
	f := a.functions[functionName(name)]
	if f == nil {
		invokeError(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+name)
		return
	}
	if a.allow != nil && !a.allow(key, f.ARN()) {
		invokeError(w, http.StatusForbidden, "AccessDeniedException",
			fmt.Sprintf("%s is not authorized to perform: lambda:InvokeFunction on resource: %s", key, f.ARN()))
		return
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, MaxRequest+1))
	if err != nil {
		invokeError(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not read the request body")
		return
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if len(payload) <= MaxRequest && !json.Valid(payload) {
		invokeError(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json")
		return
	}
	if client, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Amz-Client-Context")); err == nil && json.Valid(client) {
		call.ClientContext = strings.Join(strings.Fields(string(client)), " ") // one header line
	}
	call.TraceID = r.Header.Get("X-Amzn-Trace-Id")
	ctx := WithCall(r.Context(), call)
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		result, err := f.Invoke(ctx, payload)
		if err != nil && result.FunctionError == "" {
			a.fail(w, f, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		if result.FunctionError != "" {
			w.Header().Set("X-Amz-Function-Error", result.FunctionError)
		}
		w.Write(result.Payload)
	case "Event":
		if _, err := f.InvokeEvent(ctx, payload); err != nil {
			a.fail(w, f, err)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
	default:
		invokeError(w, http.StatusBadRequest, "InvalidParameterValueException", "unknown invocation type "+kind)
	}
}

func (a *InvokeAPI) fail(w http.ResponseWriter, f *Lambda, err error) {
	switch {
	case errors.Is(err, ErrTooLarge):
		invokeError(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", err.Error())
	case errors.Is(err, ErrThrottled):
		reason := "ConcurrentInvocationLimitExceeded"
		if f.cfg.Reserved > 0 {
			reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
		}
		w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
		reply(w, http.StatusTooManyRequests, map[string]string{"Reason": reason, "Type": "User", "message": "Rate Exceeded."})
	default:
		invokeError(w, http.StatusInternalServerError, "ServiceException", err.Error())
	}
}

func invokeError(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	reply(w, status, map[string]string{"Type": "User", "Message": message})
}

// functionName takes a name, a partial or a whole ARN, each with or without a qualifier.
func functionName(name string) string {
	if _, after, ok := strings.Cut(name, "function:"); ok {
		name = after
	}
	name, _, _ = strings.Cut(name, ":")
	return name
}

// accessKeyOf reads the access key ID from a Signature Version 4 header, or gives "".
func accessKeyOf(authorization string) string {
	fields, ok := strings.CutPrefix(authorization, "AWS4-HMAC-SHA256 ")
	_, credential, found := strings.Cut(fields, "Credential=")
	if !ok || !found {
		return ""
	}
	key, _, _ := strings.Cut(credential, "/")
	return key
}
