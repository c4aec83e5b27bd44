package awslocal

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/wsapi"
)

// Role is what a function is, as CULVERT_ROLE says it.
type Role string

// The functions.
const (
	Agents Role = "agents"
	Public Role = "public"
	Stream Role = "stream"
	Keys   Role = "keys"
)

// roles is everybody's credentials, and what policies allow them at API Gateway. It is
// the template's policies in other words: what is not here is refused, so that a
// function that asks for more fails here first.
type roles map[Role]runtime.Credentials

// allowed are the ARNs, as patterns, that a role may act on.
func allowed(r Role) map[string][]string {
	const manage = "execute-api:ManageConnections"
	agents := func(method string) string {
		return wsapi.ExecuteARN(region, account, agentsAPIID, stage+"/"+method+"/@connections/*")
	}
	waiters := func(rest string) string { return wsapi.ExecuteARN(region, account, waitersAPIID, stage+"/"+rest) }
	switch r {
	case Agents:
		return map[string][]string{manage: {agents("POST"), agents("GET"), agents("DELETE"), waiters("POST/@connections/*")}}
	case Public, Stream:
		return map[string][]string{manage: {agents("POST")}, "execute-api:Invoke": {waiters("$connect")}}
	default:
		return nil
	}
}

// of returns the credentials behind an access key ID.
func (r roles) of(accessKeyID string) (runtime.Credentials, bool) {
	name, ok := runtime.FunctionOf(accessKeyID)
	if !ok {
		return runtime.Credentials{}, false
	}
	c, ok := r[Role(name)]
	return c, ok
}

// Credentials implements wsapi.Principals.
func (r roles) Credentials(accessKeyID string) (aws.Credentials, bool) {
	c, ok := r.of(accessKeyID)
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, ok
}

// Allowed implements wsapi.Principals.
func (r roles) Allowed(accessKeyID, action, resource string) bool {
	name, ok := runtime.FunctionOf(accessKeyID)
	if !ok {
		return false
	}
	for _, pattern := range allowed(Role(name))[action] {
		if matches(pattern, resource) {
			return true
		}
	}
	return false
}

// matches compares with a pattern whose only wildcard is its end.
func matches(pattern, resource string) bool {
	if n := len(pattern) - 1; pattern[n] == '*' {
		return len(resource) > n && resource[:n] == pattern[:n]
	}
	return pattern == resource
}
