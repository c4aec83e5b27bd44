package awslocal_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/httpapi"
)

// Whatever is chosen, requests come through.
func TestVariants(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]awslocal.Config{
		"payload 1.0":         {Format: httpapi.V1},
		"without waiters":     {NoWaiters: true},
		"reserved":            {AccountConcurrency: 100, PublicConcurrency: 5},
		"never frozen":        {KeepRunning: true},
		"slow services":       {Delay: func(string) time.Duration { return time.Millisecond }},
		"further variables":   {Env: map[string]string{"CULVERT_MAX_WAIT": "10s"}},
		"all the addresses":   {HTTP: "127.0.0.1:0", WS: "[::1]:0", FunctionURL: "localhost:0"},
		"a concurrency of 10": {AccountConcurrency: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(cfg.WS, "::1") {
				if ln, err := net.Listen("tcp", cfg.WS); err != nil {
					t.Skip(err) // no IPv6 here
				} else {
					ln.Close()
				}
			}
			l := awslocaltest.Start(t, cfg)
			a := connect(t, l, nil)
			for range 3 {
				if status, text := visit(t, http.MethodPost, a.url(t, "path_based_url")+"/x", "hello"); status != http.StatusOK || text != "POST /x hello" {
					t.Errorf("%d %q", status, text)
				}
			}
			if base := l.StreamURL(); base != "" {
				url := base + strings.TrimPrefix(a.url(t, "path_based_url"), l.PublicURL())
				if status, text := visit(t, http.MethodGet, url+"/s", ""); status != http.StatusOK || text != "GET /s " {
					t.Errorf("streamed: %d %q", status, text)
				}
			}
			pushed := false
			for _, c := range l.Meter().Calls() {
				pushed = pushed || c.Action == "execute-api:Invoke"
			}
			if pushed == cfg.NoWaiters {
				t.Errorf("waiters have dialled: %t", pushed)
			}
		})
	}
}

// With a token secret agents need a token that is signed with it.
func TestTokens(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	l := awslocaltest.Start(t, awslocal.Config{TokenSecret: secret})
	_, answer, err := websocket.DefaultDialer.DialContext(t.Context(), l.AgentsURL(), nil)
	if err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Fatalf("without a token: %v, %v", answer, err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "me", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	a := connect(t, l, http.Header{"Authorization": {"Bearer " + token}})
	if status, text := visit(t, http.MethodGet, a.url(t, "path_based_url")+"/x", ""); status != http.StatusOK {
		t.Errorf("%d %q", status, text)
	}
}

func TestSecretMustBeText(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(dynamolocal.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := awslocal.New(awslocal.Config{
		Name: dynamolocal.Table("culvert"), DynamoDB: u, Bootstrap: awslocaltest.Bootstrap(t), TokenSecret: []byte(strings.Repeat("\xff", 40)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no text") {
		t.Errorf("got %v", err)
		l.Close()
	}
}

// On a bad day some requests fail, but none hangs, and no answer is another's.
func TestChaos(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{Chaos: chaos.New(7, chaos.Plan{
		chaos.MessageHeld: {Probability: 0.5, Delay: 20 * time.Millisecond}, chaos.MessageDuplicated: {Probability: 0.3, Delay: 20 * time.Millisecond},
		chaos.InvokeDelayed: {Probability: 0.3, Delay: 20 * time.Millisecond}, chaos.EnvironmentRetired: {Probability: 0.2},
	})})
	a := connect(t, l, nil)
	for i := range 20 {
		path := "/" + strings.Repeat("x", i+1)
		if status, text := visit(t, http.MethodGet, a.url(t, "path_based_url")+path, ""); status != http.StatusOK || text != "GET "+path+" " {
			t.Errorf("%d %q", status, text)
		}
	}
}

// When a server that belongs to it goes away, so does all of it, and says why.
func TestServerGone(t *testing.T) {
	t.Parallel()
	u := sqsServer(t) // its program is in the cache from now on
	for name, test := range map[string]struct {
		cfg  awslocal.Config
		kill func(*awslocal.Local)
	}{
		"DynamoDB Local": {awslocal.Config{SQS: u}, awslocal.KillDatabase},
		"ElasticMQ":      {awslocal.Config{LocalSQS: true}, awslocal.KillQueues},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dynamolocal.Test(t)
			test.cfg.Bootstrap, test.cfg.Name = awslocaltest.Bootstrap(t), dynamolocal.Table("culvert")
			l, err := awslocal.New(test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			if err := l.Err(); err != nil {
				t.Fatal(err)
			}
			test.kill(l)
			select {
			case <-l.Done():
			case <-time.After(30 * time.Second):
				t.Fatal("it goes on")
			}
			if err := l.Err(); err == nil || !strings.Contains(err.Error(), name+" has ended") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A start that fails leaves nothing: goleak would tell, and the address is free.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l, err := awslocal.New(awslocal.Config{
		DynamoDB: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Bootstrap: awslocaltest.Bootstrap(t), HTTP: ln.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}
