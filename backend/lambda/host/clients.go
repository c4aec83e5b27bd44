package host

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Times for calls of AWS's services. They answer within milliseconds, or one tries
// again: a request has 29 s in all.
const (
	dialTimeout   = time.Second
	answerTimeout = 3 * time.Second
	// idleTimeout is shorter than the services' own, or calls would meet connections
	// that are gone: a post to an agent is never tried again. The transport compares
	// wall clocks here, so that it holds for an environment that was frozen as well.
	idleTimeout = 20 * time.Second
	attempts    = 3
	maxBackoff  = 500 * time.Millisecond
)

// Clients makes clients of AWS's services, all over the same connections. The SDK's
// own package for configuration is left out: it brings in SSO, STS and files, of
// which a function uses none, and which cost start-up time.
type Clients struct {
	cfg     *Config
	aws     aws.Config
	http    *http.Client
	patient *http.Client
}

// NewClients needs what FromEnvironment gives.
func NewClients(cfg *Config) *Clients {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 2 * time.Second,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(16),
		},
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          32,
		MaxIdleConnsPerHost:   16,
		// HTTP/1.1 alone: of a dead connection, HTTP/2 notices less and loses more.
		Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	client := &http.Client{Transport: transport}
	// What takes its time says nothing until it is done.
	slow := transport.Clone()
	slow.ResponseHeaderTimeout = 0
	static := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return cfg.Credentials, nil })
	return &Clients{cfg: cfg, http: client, patient: &http.Client{Transport: slow}, aws: aws.Config{
		Region: cfg.Region, Credentials: static, HTTPClient: client,
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, maxBackoff })
		},
	}}
}

// Credentials are the function's own.
func (c *Clients) Credentials() aws.CredentialsProvider { return c.aws.Credentials }

// HTTP is the client under the others.
func (c *Clients) HTTP() *http.Client { return c.http }

// Patient is an HTTP client for calls that are answered once something has been done,
// however long that takes.
func (c *Clients) Patient() *http.Client { return c.patient }

// Close closes the idle connections.
func (c *Clients) Close() {
	c.http.CloseIdleConnections()
	c.patient.CloseIdleConnections()
}

// DynamoDB makes a client of the tables.
func (c *Clients) DynamoDB() *dynamodb.Client {
	return dynamodb.NewFromConfig(c.aws, func(o *dynamodb.Options) { o.BaseEndpoint = endpoint(c.cfg.DynamoDBEndpoint) })
}

func endpoint(u *url.URL) *string {
	if u == nil {
		return nil
	}
	return aws.String(u.String())
}
