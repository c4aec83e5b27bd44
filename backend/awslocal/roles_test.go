package awslocal

import (
	"errors"
	"net/url"
	"testing"
	"time"
)

func TestAllowed(t *testing.T) {
	t.Parallel()
	who := newRoles("stack")
	const (
		manage = "execute-api:ManageConnections"
		invoke = "execute-api:Invoke"
		arn    = "arn:aws:execute-api:us-east-1:123456789012:"
		call   = "lambda:InvokeFunction"
		lambda = "arn:aws:lambda:us-east-1:123456789012:function:"
		queue  = "arn:aws:sqs:us-east-1:123456789012:"
	)
	for _, test := range []struct {
		role             Role
		action, resource string
		want             bool
	}{
		{Agents, manage, arn + agentsAPIID + "/live/POST/@connections/abc=", true},
		{Agents, manage, arn + agentsAPIID + "/live/DELETE/@connections/abc=", true},
		{Agents, manage, arn + waitersAPIID + "/live/POST/@connections/abc=", true},
		{Agents, manage, arn + waitersAPIID + "/live/DELETE/@connections/abc=", false},
		{Agents, invoke, arn + waitersAPIID + "/live/$connect", false},
		{Public, manage, arn + agentsAPIID + "/live/POST/@connections/abc=", true},
		{Public, manage, arn + agentsAPIID + "/live/DELETE/@connections/abc=", false},
		{Public, manage, arn + waitersAPIID + "/live/POST/@connections/abc=", false},
		{Public, invoke, arn + waitersAPIID + "/live/$connect", true},
		{Stream, invoke, arn + waitersAPIID + "/live/$connect", true},
		{Stream, invoke, arn + agentsAPIID + "/live/$connect", false},
		{Keys, manage, arn + agentsAPIID + "/live/POST/@connections/abc=", false},
		{Agents, call, lambda + "processor", true},
		{Agents, call, lambda + "keys", false},
		{Public, call, lambda + "processor", false},
		{Notices, call, lambda + "processor", false},
		{Processor, call, lambda + "processor", false},
		{Processor, manage, arn + agentsAPIID + "/live/POST/@connections/abc=", false},
		{Notices, manage, arn + agentsAPIID + "/live/POST/@connections/abc=", true},
		{Notices, manage, arn + agentsAPIID + "/live/DELETE/@connections/abc=", false},
		{Notices, "sqs:ReceiveMessage", queue + "stack-notify-user", true},
		{Notices, "sqs:DeleteMessage", queue + "stack-notify-connection", true},
		{Notices, "sqs:SendMessage", queue + "stack-notify-connection", true},
		{Notices, "sqs:SendMessage", queue + "stack-notify-user", false},
		{Notices, "sqs:ReceiveMessage", queue + "stack-notify-user-dead", false},
		{Notices, "sqs:SendMessage", queue + "another-notify-connection", false},
		{Notices, "sqs:PurgeQueue", queue + "stack-notify-user", false},
		{Agents, "sqs:SendMessage", queue + "stack-notify-user", false},
	} {
		key := who.credentials[test.role].AccessKeyID
		if got := who.Allowed(key, test.action, test.resource); got != test.want {
			t.Errorf("%s %s on %s: %t", test.role, test.action, test.resource, got)
		}
	}
	if who.Allowed("AKIASOMEBODY", manage, arn+agentsAPIID+"/live/POST/@connections/abc=") {
		t.Error("somebody is allowed something")
	}
	if _, ok := who.Credentials("ASIA.nobody"); ok {
		t.Error("nobody has credentials")
	}
}

func TestConfigChecked(t *testing.T) {
	t.Parallel()
	self := "awslocal.go" // a regular file, which is not started here
	for name, cfg := range map[string]Config{
		"no program":      {},
		"no such program": {Bootstrap: "nowhere"},
		"a folder":        {Bootstrap: "."},
		"name":            {Bootstrap: self, Name: "a b"},
		"address":         {Bootstrap: self, HTTP: "8081"},
		"port":            {Bootstrap: self, WS: "127.0.0.1:99999"},
		"open to all":     {Bootstrap: self, WS: "0.0.0.0:8082"},
		"open to others":  {Bootstrap: self, WS: "192.0.2.1:8082"},
		"SQS's URL":       {Bootstrap: self, SQS: &url.URL{Scheme: "sqs", Host: "queue"}},
		"two queues":      {Bootstrap: self, SQS: &url.URL{Scheme: "http", Host: "127.0.0.1:9324"}, LocalSQS: true},
		"too visible":     {Bootstrap: self, Visibility: time.Millisecond},
		"never visible":   {Bootstrap: self, Visibility: 13 * time.Hour},
		"no such keys":    {Bootstrap: self, JWKS: "nowhere.json"},
		"no keys":         {Bootstrap: self, JWKS: self},
		"keys by http":    {Bootstrap: self, JWKS: "http://idp.example/jwks.json"},
		"when":            {Bootstrap: self, TokenSecret: []byte("secret"), ConnectAuth: "later"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, cfg := range map[string]Config{
		"defaults":      {Bootstrap: self},
		"with a secret": {Bootstrap: self, WS: "0.0.0.0:8082", TokenSecret: []byte("secret")},
		"IPv6":          {Bootstrap: self, WS: "[::1]:8082"},
		"keys":          {Bootstrap: self, WS: "0.0.0.0:8082", JWKS: "https://idp.example/jwks.json", Audience: "tunnels", Issuer: "https://idp.example/"},
		"deferred":      {Bootstrap: self, TokenSecret: []byte("secret"), ConnectAuth: AuthDeferred},
		"queues":        {Bootstrap: self, SQS: &url.URL{Scheme: "http", Host: "127.0.0.1:9324"}, Visibility: 12 * time.Hour},
	} {
		if _, err := New(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is said about tokens where none are needed is a misunderstanding.
	for name, cfg := range map[string]Config{
		"audience": {Bootstrap: self, Audience: "tunnels"},
		"issuer":   {Bootstrap: self, Issuer: "https://idp.example/"},
		"deferred": {Bootstrap: self, ConnectAuth: AuthDeferred},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrNoTokens) {
			t.Errorf("%s without tokens: %v", name, err)
		}
	}
}
