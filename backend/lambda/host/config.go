package host

import (
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Role is which of the functions this process is. They are one binary.
type Role string

// The roles, by what calls them.
const (
	// RoleAgents serves the agents' WebSocket API.
	RoleAgents Role = "agents"
	// RolePublic serves visitors through the HTTP API.
	RolePublic Role = "public"
	// RoleStream serves visitors through a Function URL that streams.
	RoleStream Role = "stream"
	// RoleKeys serves CloudFormation: it makes the keys, and new ones.
	RoleKeys Role = "keys"
	// RoleProcessor serves the agents' function: it does actions.
	RoleProcessor Role = "processor"
	// RoleNotices serves the queues of notices.
	RoleNotices Role = "notices"
)

// roles are all of them.
func roles() []string {
	return []string{string(RoleAgents), string(RolePublic), string(RoleStream), string(RoleKeys), string(RoleProcessor), string(RoleNotices)}
}

// Auth is who may open tunnels.
type Auth string

// The ways of Auth.
const (
	// AuthJWT wants a token.
	AuthJWT Auth = "jwt"
	// AuthNone wants nothing, on a developer's own machine.
	AuthNone Auth = "none"
)

// ConnectAuth is when an agent or a client has to show who it is.
type ConnectAuth string

// The ways of ConnectAuth.
const (
	// ConnectRequired wants it when the connection opens.
	ConnectRequired ConnectAuth = "required"
	// ConnectDeferred lets a connection in that shows nothing: it can do nothing but
	// authorize.
	ConnectDeferred ConnectAuth = "deferred"
)

// Defaults of what need not be set.
const (
	defaultMaxTunnels = 20
	defaultMaxWait    = 28 * time.Second
	defaultNamespace  = "Culvert"
)

// Config is what the environment says. What a role has no use for is not read.
type Config struct {
	Role Role

	// Names of the tables.
	Tunnels, Connections, Answers, Users string

	// AgentsAPI and WaitersAPI are the management endpoints of the WebSocket APIs,
	// with their stages. A nil WaitersAPI or WaitersURL: there is no such API, and
	// all answers go by the store.
	AgentsAPI, WaitersAPI *url.URL
	// WaitersURL is what the waiting side dials.
	WaitersURL *url.URL
	// WaitersAPIID is set where the agents' function has to answer for the waiters'
	// API as well.
	WaitersAPIID string

	PublicURL    *url.URL // base of the public URLs; its path is a stage or mapping key
	SubdomainURL *url.URL // IDs become labels below its host; nil: they do not
	StreamURL    *url.URL // of the Function URL; nil: there is none

	KeysParameter string
	Auth          Auth
	ConnectAuth   ConnectAuth
	// JWKS is the URL, or on a developer's machine the path, of the keys of those who
	// sign tokens besides this backend; "": nobody does.
	JWKS string
	// TokenAudience and TokenIssuer are what tokens have to name; "": anything.
	TokenAudience, TokenIssuer string
	// Processor is the name or the ARN of the function that does actions; "": there
	// is none.
	Processor string

	// ARNs of the queues of notices, and the URL of the second one.
	NotifyUserARN, NotifyConnectionARN string
	NotifyConnectionURL                *url.URL

	AgentHosts []string // host names that agents may dial besides AgentsAPI's
	Bucket     string   // for large bodies; empty: there is none

	AccountConcurrency int // invocations the account allows at once; 0: unknown
	Reserved           bool
	MaxTunnels         int // for each owner
	TunnelRPM          int // requests a minute for each tunnel; 0: any number
	TunnelStreams      int // streams of each tunnel at once; 0: any number
	MaxWait            time.Duration

	LogLevel  slog.Level
	Namespace string // of the metrics

	Region      string
	Credentials aws.Credentials
	// Endpoints other than AWS's own; nil: AWS's.
	DynamoDBEndpoint, SSMEndpoint, S3Endpoint, LambdaEndpoint, SQSEndpoint *url.URL
}

// FromEnvironment reads the configuration. The error joins one for every value that
// is missing or wrong; each names the variable, and says what belongs there. No
// value that could be a secret is quoted.
func FromEnvironment(getenv func(string) string) (*Config, error) {
	e := &environment{get: getenv}
	c := &Config{
		Role:      Role(e.oneOf("CULVERT_ROLE", "", roles()...)),
		LogLevel:  e.level("CULVERT_LOG_LEVEL"),
		Namespace: e.namespace("CULVERT_METRICS_NAMESPACE"),
	}
	if c.Role != RoleProcessor { // which has a right to nothing
		c.Region = e.required("AWS_REGION", "the region, which Lambda sets by itself")
		c.Credentials = e.credentials()
	}
	switch c.Role {
	case RoleProcessor:
	case RoleNotices:
		e.notices(c)
	case RoleAgents, RolePublic, RoleStream:
		e.keys(c)
		e.tunnels(c)
	default:
		e.keys(c)
	}
	if err := errors.Join(e.wrong...); err != nil {
		return nil, err
	}
	return c, nil
}

func (e *environment) keys(c *Config) {
	c.KeysParameter = e.required("CULVERT_KEYS_PARAMETER", "the name of the SSM parameter that holds the keys, such as /culvert/keys")
	c.SSMEndpoint = e.endpoint("AWS_ENDPOINT_URL_SSM")
}

// tunnels reads what the functions need that carry tunnels' requests.
func (e *environment) tunnels(c *Config) {
	c.Tunnels = e.table("CULVERT_TUNNELS_TABLE")
	c.Answers = e.table("CULVERT_ANSWERS_TABLE")
	c.DynamoDBEndpoint = e.endpoint("AWS_ENDPOINT_URL_DYNAMODB")
	c.AgentsAPI = e.management("CULVERT_AGENTS_API")
	c.Bucket = e.word("CULVERT_BUCKET")
	c.PublicURL = e.base("CULVERT_PUBLIC_URL")
	if c.PublicURL == nil && e.get("CULVERT_PUBLIC_URL") == "" {
		e.fail("CULVERT_PUBLIC_URL", "is missing: set it to the base of the public URLs, such as https://tunnel.example.com")
	}
	c.SubdomainURL = e.base("CULVERT_SUBDOMAIN_URL")
	c.StreamURL = e.base("CULVERT_STREAM_URL")
	if c.SubdomainURL != nil && c.SubdomainURL.Path != "" {
		e.fail("CULVERT_SUBDOMAIN_URL", "has a path: tunnels become labels of its host name, so give the host alone, such as https://tunnel.example.com")
	}
	if c.Role == RoleAgents {
		c.Connections = e.table("CULVERT_CONNECTIONS_TABLE")
		c.WaitersAPI = e.optionalManagement("CULVERT_WAITERS_API")
		c.WaitersAPIID = e.word("CULVERT_WAITERS_API_ID")
		c.AgentHosts = e.hosts("CULVERT_AGENT_HOSTS")
		c.MaxTunnels = e.number("CULVERT_MAX_TUNNELS", defaultMaxTunnels, 1, 10_000)
		c.Users = e.table("CULVERT_USERS_TABLE")
		c.Processor = e.function("CULVERT_PROCESSOR", c.Region)
		c.LambdaEndpoint = e.endpoint("AWS_ENDPOINT_URL_LAMBDA")
		e.identity(c)
		return
	}
	c.WaitersURL = e.webSocket("CULVERT_WAITERS_URL")
	c.S3Endpoint = e.endpoint("AWS_ENDPOINT_URL_S3")
	c.AccountConcurrency = e.number("CULVERT_ACCOUNT_CONCURRENCY", 0, 0, 10_000_000)
	c.Reserved = e.oneOf("CULVERT_RESERVED", "false", "true", "false") == "true"
	c.TunnelRPM = e.number("CULVERT_TUNNEL_RPM", 0, 0, 1_000_000_000)
	if c.Role == RoleStream {
		c.TunnelStreams = e.number("CULVERT_TUNNEL_STREAMS", 0, 0, 1000)
	}
	c.MaxWait = e.duration("CULVERT_MAX_WAIT", defaultMaxWait, time.Second, defaultMaxWait)
}

// identity reads how agents and clients show who they are.
func (e *environment) identity(c *Config) {
	c.Auth = Auth(e.oneOf("CULVERT_AUTH", string(AuthJWT), string(AuthJWT), string(AuthNone)))
	if c.Auth == AuthNone && c.AgentsAPI != nil && !isLoopback(c.AgentsAPI.Hostname()) {
		e.fail("CULVERT_AUTH", "is none: then everyone could open tunnels in this account. That is for a developer's own machine; set it to jwt")
	}
	c.ConnectAuth = ConnectAuth(e.oneOf("CULVERT_CONNECT_AUTH", string(ConnectRequired), string(ConnectRequired), string(ConnectDeferred)))
	c.JWKS = e.keySet("CULVERT_JWKS", c.AgentsAPI != nil && isLoopback(c.AgentsAPI.Hostname()))
	c.TokenAudience = e.word("CULVERT_TOKEN_AUDIENCE")
	c.TokenIssuer = e.word("CULVERT_TOKEN_ISSUER")
}

// notices reads what the function needs that serves the queues.
func (e *environment) notices(c *Config) {
	c.Users = e.table("CULVERT_USERS_TABLE")
	c.Connections = e.table("CULVERT_CONNECTIONS_TABLE")
	c.DynamoDBEndpoint = e.endpoint("AWS_ENDPOINT_URL_DYNAMODB")
	c.AgentsAPI = e.management("CULVERT_AGENTS_API")
	c.NotifyUserARN = e.queue("CULVERT_NOTIFY_USER_ARN")
	c.NotifyConnectionARN = e.queue("CULVERT_NOTIFY_CONNECTION_ARN")
	if c.NotifyUserARN != "" && c.NotifyUserARN == c.NotifyConnectionARN {
		e.fail("CULVERT_NOTIFY_CONNECTION_ARN", "is CULVERT_NOTIFY_USER_ARN: notices go from one queue to the other, so give two")
		c.NotifyConnectionARN = ""
	}
	c.NotifyConnectionURL = e.queueURL("CULVERT_NOTIFY_CONNECTION_URL", c.NotifyConnectionARN)
	c.SQSEndpoint = e.endpoint("AWS_ENDPOINT_URL_SQS")
}
