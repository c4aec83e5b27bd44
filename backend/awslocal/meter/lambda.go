package meter

import (
	"encoding/json"
	"net/http"
	"time"

	"culvert/backend/awslocal/runtime"
)

// Lambda is what functions may invoke.
type Lambda struct {
	Functions []*runtime.Lambda
	Callers   Callers
	// Allowed says whether the policy behind an access key ID allows an action on a function.
	Allowed func(accessKeyID, action, functionARN string) bool
	// Throttled, if any, says that a call finds no concurrency, whatever there is.
	Throttled func() bool
	// Delay, if any, is how long a call takes longer than here.
	Delay func(operation string) time.Duration
}

// Lambda is Lambda's API for functions that invoke each other. What an invocation costs
// is told by the function itself (Invoked).
func (m *Meter) Lambda(l Lambda) http.Handler {
	const action = "lambda:InvokeFunction"
	api := runtime.NewInvokeAPI(func(key, arn string) bool {
		function, ok := runtime.FunctionOf(key)
		if !ok || !l.Allowed(key, action, arn) {
			return false
		}
		m.call(function, action, arn)
		return true
	}, l.Functions...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := l.Callers.signedBy(r); !known {
			refuseInvoke(w, http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid.")
			return
		}
		if l.Delay != nil && !sleep(r.Context(), l.Delay("Invoke")) {
			return
		}
		if l.Throttled != nil && l.Throttled() {
			refuseInvoke(w, http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.")
			return
		}
		api.ServeHTTP(w, r)
	})
}

// refuseInvoke answers as Lambda does.
func refuseInvoke(w http.ResponseWriter, status int, kind, message string) {
	text, _ := json.Marshal(map[string]string{"Type": "User", "message": message}) // of strings
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	w.Write(text)
}
