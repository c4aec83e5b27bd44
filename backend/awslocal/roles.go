package awslocal

import (
	"crypto/rand"

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
	// Processor does actions, and Notices, where there are queues, brings notices.
	Processor Role = "processor"
	Notices   Role = "notices"
)

// roles is everybody's credentials, and what policies allow them at API Gateway, SQS and
// Lambda. It is the template's policies in other words: what is not here is refused, so
// that a function that asks for more fails here first.
type roles struct {
	stack       string
	credentials map[Role]runtime.Credentials
}

func newRoles(stack string) roles {
	r := roles{stack, map[Role]runtime.Credentials{}}
	for _, role := range []Role{Agents, Public, Stream, Keys, Processor, Notices} {
		r.credentials[role] = runtime.Credentials{AccessKeyID: runtime.AccessKeyID(string(role)), SecretAccessKey: rand.Text(), SessionToken: rand.Text()}
	}
	return r
}

// policy are the ARNs, as patterns, that a role may act on.
func (who roles) policy(r Role) map[string][]string {
	const manage = "execute-api:ManageConnections"
	agents := func(method string) string {
		return wsapi.ExecuteARN(region, account, agentsAPIID, stage+"/"+method+"/@connections/*")
	}
	waiters := func(rest string) string { return wsapi.ExecuteARN(region, account, waitersAPIID, stage+"/"+rest) }
	switch r {
	case Agents:
		return map[string][]string{
			manage:                  {agents("POST"), agents("GET"), agents("DELETE"), waiters("POST/@connections/*")},
			"lambda:InvokeFunction": {"arn:aws:lambda:" + region + ":" + account + ":function:" + string(Processor)},
		}
	case Notices:
		user, connection := queueARN(userQueue(who.stack)), queueARN(connectionQueue(who.stack))
		return map[string][]string{
			manage: {agents("POST")}, "sqs:SendMessage": {connection},
			// The event source mappings work in the function's name.
			"sqs:ReceiveMessage": {user, connection}, "sqs:DeleteMessage": {user, connection}, "sqs:GetQueueAttributes": {user, connection},
		}
	case Public, Stream:
		return map[string][]string{manage: {agents("POST")}, "execute-api:Invoke": {waiters("$connect")}}
	default:
		return nil
	}
}

// of returns the credentials behind an access key ID.
func (who roles) of(accessKeyID string) (runtime.Credentials, bool) {
	name, ok := runtime.FunctionOf(accessKeyID)
	if !ok {
		return runtime.Credentials{}, false
	}
	c, ok := who.credentials[Role(name)]
	return c, ok
}

// Credentials implements wsapi.Principals.
func (who roles) Credentials(accessKeyID string) (aws.Credentials, bool) {
	c, ok := who.of(accessKeyID)
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, ok
}

// Allowed implements wsapi.Principals, and says the same for the meter.
func (who roles) Allowed(accessKeyID, action, resource string) bool {
	name, ok := runtime.FunctionOf(accessKeyID)
	if !ok {
		return false
	}
	for _, pattern := range who.policy(Role(name))[action] {
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
