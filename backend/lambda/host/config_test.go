package host

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

type variables map[string]string

// environmentOf gives what a function of the role needs, with some of it changed.
func environmentOf(role Role, change variables) func(string) string {
	all := variables{
		"CULVERT_ROLE": string(role), "CULVERT_KEYS_PARAMETER": "/culvert/keys", "AWS_REGION": "eu-west-1",
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "hush too",
		"CULVERT_TUNNELS_TABLE": "tunnels", "CULVERT_CONNECTIONS_TABLE": "connections", "CULVERT_ANSWERS_TABLE": "answers",
		"CULVERT_USERS_TABLE": "users",
		"CULVERT_AGENTS_API":  "https://abc.execute-api.eu-west-1.amazonaws.com/live",
		"CULVERT_PUBLIC_URL":  "https://tunnel.example.com",
	}
	switch role {
	case RoleKeys:
		for name := range all {
			if strings.HasPrefix(name, "CULVERT_") && name != "CULVERT_ROLE" && name != "CULVERT_KEYS_PARAMETER" {
				delete(all, name)
			}
		}
	case RoleProcessor:
		all = variables{"CULVERT_ROLE": string(role)}
	case RoleNotices:
		for _, name := range []string{"CULVERT_KEYS_PARAMETER", "CULVERT_TUNNELS_TABLE", "CULVERT_ANSWERS_TABLE", "CULVERT_PUBLIC_URL"} {
			delete(all, name)
		}
		all["CULVERT_NOTIFY_USER_ARN"] = "arn:aws:sqs:eu-west-1:123456789012:notify-user"
		all["CULVERT_NOTIFY_CONNECTION_ARN"] = "arn:aws:sqs:eu-west-1:123456789012:notify-connection"
		all["CULVERT_NOTIFY_CONNECTION_URL"] = "https://sqs.eu-west-1.amazonaws.com/123456789012/notify-connection"
	}
	for name, value := range change {
		all[name] = value
	}
	return func(name string) string { return all[name] }
}

func configOf(t *testing.T, role Role, change variables) *Config {
	t.Helper()
	c, err := FromEnvironment(environmentOf(role, change))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func link(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	base := func(role Role, change func(*Config)) *Config {
		c := &Config{
			Role: role, KeysParameter: "/culvert/keys", Region: "eu-west-1", Namespace: "Culvert", LogLevel: slog.LevelInfo,
			Credentials: aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "hush", SessionToken: "hush too", Source: "environment"},
		}
		switch role {
		case RoleProcessor:
			c = &Config{Role: role, Namespace: "Culvert", LogLevel: slog.LevelInfo}
		case RoleNotices:
			c.KeysParameter = ""
			c.Connections, c.Users = "connections", "users"
			c.AgentsAPI = link("https://abc.execute-api.eu-west-1.amazonaws.com/live")
			c.NotifyUserARN = "arn:aws:sqs:eu-west-1:123456789012:notify-user"
			c.NotifyConnectionARN = "arn:aws:sqs:eu-west-1:123456789012:notify-connection"
			c.NotifyConnectionURL = link("https://sqs.eu-west-1.amazonaws.com/123456789012/notify-connection")
		case RoleAgents:
			c.Users, c.ConnectAuth = "users", ConnectRequired
			fallthrough
		case RolePublic, RoleStream:
			c.Tunnels, c.Answers = "tunnels", "answers"
			c.AgentsAPI, c.PublicURL = link("https://abc.execute-api.eu-west-1.amazonaws.com/live"), link("https://tunnel.example.com")
		}
		change(c)
		return c
	}
	for name, c := range map[string]struct {
		role   Role
		change variables
		want   *Config
	}{
		"keys": {RoleKeys, nil, base(RoleKeys, func(*Config) {})},
		"agents, the least": {RoleAgents, nil, base(RoleAgents, func(c *Config) {
			c.Connections, c.MaxTunnels, c.Auth = "connections", 20, AuthJWT
		})},
		"agents, all": {RoleAgents, variables{
			"CULVERT_WAITERS_API": "https://def.execute-api.eu-west-1.amazonaws.com/live/", "CULVERT_WAITERS_API_ID": "def",
			"CULVERT_AGENT_HOSTS": "Agents.example.com, b.example.com:8443,", "CULVERT_MAX_TUNNELS": "3", "CULVERT_AUTH": "jwt", "CULVERT_BUCKET": "bucket",
			"CULVERT_SUBDOMAIN_URL": "https://tunnel.example.com/", "CULVERT_STREAM_URL": "https://x.lambda-url.eu-west-1.on.aws/",
			"CULVERT_LOG_LEVEL": "debug", "CULVERT_METRICS_NAMESPACE": "Culvert/my-stack",
			"CULVERT_CONNECT_AUTH": "deferred", "CULVERT_JWKS": "https://login.example.com/keys?p=a",
			"CULVERT_TOKEN_AUDIENCE": "culvert", "CULVERT_TOKEN_ISSUER": "https://login.example.com/",
			"CULVERT_PROCESSOR": "arn:aws:lambda:eu-west-1:123456789012:function:processor", "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:9",
		}, base(RoleAgents, func(c *Config) {
			c.Connections, c.MaxTunnels, c.Auth, c.Bucket = "connections", 3, AuthJWT, "bucket"
			c.WaitersAPI, c.WaitersAPIID = link("https://def.execute-api.eu-west-1.amazonaws.com/live"), "def"
			c.AgentHosts = []string{"agents.example.com", "b.example.com:8443"}
			c.SubdomainURL, c.StreamURL = link("https://tunnel.example.com"), link("https://x.lambda-url.eu-west-1.on.aws")
			c.LogLevel, c.Namespace = slog.LevelDebug, "Culvert/my-stack"
			c.ConnectAuth, c.JWKS = ConnectDeferred, "https://login.example.com/keys?p=a"
			c.TokenAudience, c.TokenIssuer = "culvert", "https://login.example.com/"
			c.Processor, c.LambdaEndpoint = "arn:aws:lambda:eu-west-1:123456789012:function:processor", link("http://127.0.0.1:9")
		})},
		"public, the least": {RolePublic, nil, base(RolePublic, func(c *Config) { c.MaxWait = 28 * time.Second })},
		"public, all, on a developer's machine": {RolePublic, variables{
			"CULVERT_AGENTS_API": "http://127.0.0.1:8082/live", "CULVERT_PUBLIC_URL": "http://localhost:8081",
			"CULVERT_WAITERS_URL": "ws://127.0.0.1:9001/live", "CULVERT_BUCKET": "bucket", "CULVERT_ACCOUNT_CONCURRENCY": "10",
			"CULVERT_RESERVED": "true", "CULVERT_TUNNEL_RPM": "600", "CULVERT_MAX_WAIT": "5s",
			"AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:8000", "AWS_ENDPOINT_URL_SSM": "http://[::1]:1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000",
		}, base(RolePublic, func(c *Config) {
			c.AgentsAPI, c.PublicURL = link("http://127.0.0.1:8082/live"), link("http://localhost:8081")
			c.WaitersURL, c.Bucket, c.AccountConcurrency, c.Reserved = link("ws://127.0.0.1:9001/live"), "bucket", 10, true
			c.TunnelRPM, c.MaxWait = 600, 5*time.Second
			c.DynamoDBEndpoint, c.SSMEndpoint, c.S3Endpoint = link("http://localhost:8000"), link("http://[::1]:1"), link("http://127.0.0.1:9000")
		})},
		"stream":                             {RoleStream, nil, base(RoleStream, func(c *Config) { c.MaxWait = 28 * time.Second })},
		"stream, any number for each tunnel": {RoleStream, variables{"CULVERT_TUNNEL_STREAMS": "0"}, base(RoleStream, func(c *Config) { c.MaxWait = 28 * time.Second })},
		"processor":                          {RoleProcessor, nil, base(RoleProcessor, func(*Config) {})},
		"processor, which reads nothing else": {RoleProcessor, variables{
			"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "CULVERT_USERS_TABLE": "users", "CULVERT_AGENTS_API": "wss://wrong", "CULVERT_LOG_LEVEL": "warn",
		}, base(RoleProcessor, func(c *Config) { c.LogLevel = slog.LevelWarn })},
		"notices": {RoleNotices, nil, base(RoleNotices, func(*Config) {})},
		"notices, on a developer's machine": {RoleNotices, variables{
			"CULVERT_NOTIFY_CONNECTION_URL": "http://127.0.0.1:9324/000000000000/notify-connection", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9324",
			"AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:8000",
		}, base(RoleNotices, func(c *Config) {
			c.NotifyConnectionURL, c.SQSEndpoint = link("http://127.0.0.1:9324/000000000000/notify-connection"), link("http://127.0.0.1:9324")
			c.DynamoDBEndpoint = link("http://localhost:8000")
		})},
		"keys from a file, on a developer's machine": {
			RoleAgents, variables{"CULVERT_JWKS": "/tmp/keys.json", "CULVERT_AGENTS_API": "http://localhost:8082", "CULVERT_PROCESSOR": "processor:live"},
			base(RoleAgents, func(c *Config) {
				c.Connections, c.MaxTunnels, c.Auth, c.AgentsAPI = "connections", 20, AuthJWT, link("http://localhost:8082")
				c.JWKS, c.Processor = "/tmp/keys.json", "processor:live"
			}),
		},
		"nobody asks for tokens on a developer's machine": {
			RoleAgents, variables{"CULVERT_AUTH": "none", "CULVERT_AGENTS_API": "http://localhost:8082"},
			base(RoleAgents, func(c *Config) {
				c.Connections, c.MaxTunnels, c.Auth, c.AgentsAPI = "connections", 20, AuthNone, link("http://localhost:8082")
			}),
		},
	} {
		got, err := FromEnvironment(environmentOf(c.role, c.change))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role     Role
		variable string
		value    string
		says     string // beside the variable's name
	}{
		{RoleAgents, "CULVERT_ROLE", "", "agents, public, stream, keys, processor, notices"},
		{RoleAgents, "CULVERT_ROLE", "waiter", `is "waiter"`},
		{RoleKeys, "CULVERT_KEYS_PARAMETER", "", "/culvert/keys"},
		{RoleKeys, "AWS_REGION", "", "the region"},
		{RoleKeys, "AWS_ACCESS_KEY_ID", "", "role"},
		{RoleKeys, "AWS_ENDPOINT_URL_SSM", "http://ssm.example.com", "this machine alone"},
		{RoleKeys, "CULVERT_LOG_LEVEL", "loud", "debug, info, warn, error"},
		{RoleKeys, "CULVERT_METRICS_NAMESPACE", "AWS/Lambda", "Culvert/mystack"},
		{RoleKeys, "CULVERT_METRICS_NAMESPACE", "a\u00e9", "Culvert/mystack"},
		{RoleAgents, "CULVERT_TUNNELS_TABLE", "", "DynamoDB"},
		{RoleAgents, "CULVERT_CONNECTIONS_TABLE", "", "DynamoDB"},
		{RolePublic, "CULVERT_ANSWERS_TABLE", "", "DynamoDB"},
		{RolePublic, "CULVERT_TUNNELS_TABLE", "a\nb", "one line"},
		// The URL for clients stands beside the management endpoint in the console.
		{RoleAgents, "CULVERT_AGENTS_API", "wss://abc.execute-api.eu-west-1.amazonaws.com/live", "the same with https://"},
		{RolePublic, "CULVERT_AGENTS_API", "WSS://abc.execute-api.eu-west-1.amazonaws.com/live", "the same with https://"},
		{RolePublic, "CULVERT_AGENTS_API", "ws://127.0.0.1:8082", "the same with https://"},
		{RoleAgents, "CULVERT_WAITERS_API", "wss://abc.execute-api.eu-west-1.amazonaws.com/live", "the same with https://"},
		{RolePublic, "CULVERT_AGENTS_API", "", "is missing"},
		{RolePublic, "CULVERT_AGENTS_API", "https://abc.execute-api.eu-west-1.amazonaws.com", "lacks the stage"},
		{RolePublic, "CULVERT_AGENTS_API", "http://abc.execute-api.eu-west-1.amazonaws.com/live", "this machine alone"},
		{RolePublic, "CULVERT_AGENTS_API", "abc.execute-api.eu-west-1.amazonaws.com/live", "is no URL"},
		{RolePublic, "CULVERT_AGENTS_API", "https://u:hush@abc/live", "has a user"},
		{RolePublic, "CULVERT_PUBLIC_URL", "", "is missing"},
		{RolePublic, "CULVERT_PUBLIC_URL", "https://tunnel.example.com/?token=hush", "has a user, a query or a fragment"},
		{RolePublic, "CULVERT_PUBLIC_URL", "ftp://tunnel.example.com", "begins with ftp://"},
		{RolePublic, "CULVERT_SUBDOMAIN_URL", "https://tunnel.example.com/x", "has a path"},
		{RolePublic, "CULVERT_WAITERS_URL", "https://def.execute-api.eu-west-1.amazonaws.com/live", "wss://"},
		{RolePublic, "CULVERT_WAITERS_URL", "ws://def.execute-api.eu-west-1.amazonaws.com/live", "this machine alone"},
		{RolePublic, "CULVERT_ACCOUNT_CONCURRENCY", "-1", "a number from 0"},
		{RolePublic, "CULVERT_RESERVED", "yes", "true, false"},
		{RolePublic, "CULVERT_TUNNEL_RPM", "1e3", "a number"},
		{RoleStream, "CULVERT_TUNNEL_STREAMS", "-1", "a number"},
		{RolePublic, "CULVERT_MAX_WAIT", "29s", "to 28s"},
		{RolePublic, "CULVERT_MAX_WAIT", "20", "such as 20s"},
		{RoleAgents, "CULVERT_MAX_TUNNELS", "0", "a number from 1"},
		{RoleAgents, "CULVERT_AUTH", "maybe", "jwt, none"},
		{RoleAgents, "CULVERT_AUTH", "none", "set it to jwt"},
		{RoleAgents, "CULVERT_USERS_TABLE", "", "DynamoDB"},
		{RoleAgents, "CULVERT_CONNECT_AUTH", "later", "required, deferred"},
		{RoleAgents, "CULVERT_JWKS", "http://login.example.com/keys", "https://"},
		{RoleAgents, "CULVERT_JWKS", "/etc/keys.json", "is no URL"},
		{RoleAgents, "CULVERT_JWKS", "https://u:hush@login.example.com/keys", "is no URL"},
		{RoleAgents, "CULVERT_JWKS", "file:///hush", "is no URL"},
		{RoleAgents, "CULVERT_PROCESSOR", "../x", "a function's name or ARN"},
		{RoleAgents, "CULVERT_PROCESSOR", "arn:aws:s3:::x", "a function's name or ARN"},
		{RoleAgents, "CULVERT_PROCESSOR", "arn:aws:lambda:us-east-1:123456789012:function:processor", "the region us-east-1"},
		{RoleAgents, "AWS_ENDPOINT_URL_LAMBDA", "http://lambda.example.com", "this machine alone"},
		{RoleNotices, "AWS_REGION", "", "the region"},
		{RoleNotices, "CULVERT_USERS_TABLE", "", "DynamoDB"},
		{RoleNotices, "CULVERT_CONNECTIONS_TABLE", "", "DynamoDB"},
		{RoleNotices, "CULVERT_AGENTS_API", "wss://abc.execute-api.eu-west-1.amazonaws.com/live", "the same with https://"},
		{RoleNotices, "CULVERT_NOTIFY_USER_ARN", "", "the queue's ARN"},
		{RoleNotices, "CULVERT_NOTIFY_USER_ARN", "notify-user", "the queue's ARN"},
		{RoleNotices, "CULVERT_NOTIFY_USER_ARN", "arn:aws:sns:eu-west-1:123456789012:notify-user", "the queue's ARN"},
		{RoleNotices, "CULVERT_NOTIFY_CONNECTION_ARN", "arn:aws:sqs:eu-west-1:123456789012:notify-user", "give two"},
		{RoleNotices, "CULVERT_NOTIFY_CONNECTION_URL", "", "the queue's URL"},
		{RoleNotices, "CULVERT_NOTIFY_CONNECTION_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/notify-user", "another queue"},
		{RoleNotices, "CULVERT_NOTIFY_CONNECTION_URL", "http://sqs.eu-west-1.amazonaws.com/123456789012/notify-connection", "this machine alone"},
		{RoleNotices, "AWS_ENDPOINT_URL_SQS", "http://sqs.example.com", "this machine alone"},
		{RoleProcessor, "CULVERT_LOG_LEVEL", "loud", "debug, info, warn, error"},
		{RoleAgents, "CULVERT_AGENT_HOSTS", "https://agents.example.com", "agents.example.com"},
	} {
		cfg, err := FromEnvironment(environmentOf(c.role, variables{c.variable: c.value}))
		if err == nil {
			t.Errorf("%s=%q: accepted: %+v", c.variable, c.value, cfg)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != 1 || !strings.HasPrefix(lines[0], c.variable+" ") || !strings.Contains(lines[0], c.says) {
			t.Errorf("%s=%q: %v", c.variable, c.value, err)
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: quotes what could be a secret: %v", c.variable, err)
		}
	}
}

// Whoever sets up a function learns of everything at once.
func TestAllThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	for role, names := range map[Role][]string{
		RoleAgents: {
			"CULVERT_KEYS_PARAMETER", "AWS_REGION", "AWS_ACCESS_KEY_ID", "CULVERT_TUNNELS_TABLE", "CULVERT_ANSWERS_TABLE",
			"CULVERT_CONNECTIONS_TABLE", "CULVERT_USERS_TABLE", "CULVERT_AGENTS_API", "CULVERT_PUBLIC_URL",
		},
		RoleNotices: {
			"AWS_REGION", "AWS_ACCESS_KEY_ID", "CULVERT_USERS_TABLE", "CULVERT_CONNECTIONS_TABLE", "CULVERT_AGENTS_API",
			"CULVERT_NOTIFY_USER_ARN", "CULVERT_NOTIFY_CONNECTION_ARN", "CULVERT_NOTIFY_CONNECTION_URL",
		},
		"": {"CULVERT_ROLE"},
	} {
		_, err := FromEnvironment(func(name string) string {
			if name == "CULVERT_ROLE" {
				return string(role)
			}
			return ""
		})
		if err == nil {
			t.Fatalf("%q: nothing is enough", role)
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), name+" ") {
				t.Errorf("%q: %s is not named:\n%v", role, name, err)
			}
		}
	}
}
