package awslocal

import "testing"

func TestAllowed(t *testing.T) {
	t.Parallel()
	who := newRoles()
	const (
		manage = "execute-api:ManageConnections"
		invoke = "execute-api:Invoke"
		arn    = "arn:aws:execute-api:us-east-1:123456789012:"
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
	} {
		key := who[test.role].AccessKeyID
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
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, cfg := range map[string]Config{
		"defaults":      {Bootstrap: self},
		"with a secret": {Bootstrap: self, WS: "0.0.0.0:8082", TokenSecret: []byte("secret")},
		"IPv6":          {Bootstrap: self, WS: "[::1]:8082"},
	} {
		if _, err := New(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
