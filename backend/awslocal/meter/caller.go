package meter

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"

	"culvert/backend/awslocal/runtime"
)

// Callers says whose credentials belong to an access key ID. Nothing verifies
// signatures here, so what counts is the session token, which is a secret.
type Callers func(accessKeyID string) (runtime.Credentials, bool)

// caller is the function that signed a request; ok says that it is known, and has
// shown its session token.
func (c Callers) caller(accessKeyID, sessionToken string) (function string, ok bool) {
	credentials, known := c(accessKeyID)
	if !known || subtle.ConstantTimeCompare([]byte(credentials.SessionToken), []byte(sessionToken)) != 1 {
		return "", false
	}
	return runtime.FunctionOf(accessKeyID)
}

// accessKey is the access key ID with which a request's header is signed.
func accessKey(r *http.Request) (id string, ok bool) {
	_, credential, found := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !found {
		return "", false
	}
	id, _, ok = strings.Cut(credential, "/")
	return id, ok
}

// signedBy is the function that signed a request in its header.
func (c Callers) signedBy(r *http.Request) (function string, ok bool) {
	key, found := accessKey(r)
	if !found {
		return "", false
	}
	return c.caller(key, r.Header.Get("X-Amz-Security-Token"))
}

// refuse answers as AWS's JSON services do.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	text, _ := json.Marshal(map[string]string{"__type": kind, "message": message}) // of strings
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Requestid", rand.Text())
	w.WriteHeader(status)
	w.Write(text)
}

func refuseCaller(w http.ResponseWriter) {
	refuse(w, http.StatusBadRequest, "UnrecognizedClientException", "The security token included in the request is invalid.")
}
