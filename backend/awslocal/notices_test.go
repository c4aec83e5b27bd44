package awslocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/sqslocal"
	"culvert/backend/wire"
)

func sqsServer(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(sqslocal.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// outside is somebody who puts messages on queues, with an SDK.
func outside(u *url.URL) *sqs.Client {
	endpoint := u.String()
	return sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("me", "secret", ""),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

func put(t *testing.T, c *sqs.Client, queue, body string) {
	t.Helper()
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

var noticesSecret = []byte("0123456789abcdef0123456789abcdef")

func bearer(t *testing.T, user string) http.Header {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}).SignedString(noticesSecret)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

func (c client) notice(t *testing.T) wire.Notice {
	t.Helper()
	text := c.read(t)
	var n struct {
		Type string `json:"type"`
		wire.Notice
	}
	if err := json.Unmarshal([]byte(text), &n); err != nil || n.Type != "notice" {
		t.Fatalf("no notice: %s", text)
	}
	return n.Notice
}

// id is that of the client's own connection.
func (c client) id(t *testing.T) string {
	t.Helper()
	var list struct {
		Connections []struct {
			ID   string `json:"connection_id"`
			This bool   `json:"this"`
		} `json:"connections"`
	}
	a := c.ask(t, `{"action":"connections"}`)
	if err := json.Unmarshal(a.Result, &list); err != nil {
		t.Fatal(err)
	}
	for _, conn := range list.Connections {
		if conn.This {
			return conn.ID
		}
	}
	t.Fatalf("not among its own connections: %s", a.Result)
	return ""
}

// watch tells what a role's function was invoked with, once it has returned.
func watch(role awslocal.Role, invoked chan<- string) func(awslocal.Role, runtime.Function) runtime.Function {
	return func(r awslocal.Role, f runtime.Function) runtime.Function {
		if r != role {
			return f
		}
		return observed{f, invoked}
	}
}

type observed struct {
	runtime.Function
	invoked chan<- string
}

func (o observed) Invoke(ctx context.Context, payload []byte) (runtime.Result, error) {
	result, err := o.Function.Invoke(ctx, payload)
	o.invoked <- string(payload)
	return result, err
}

// A notice for a user comes to all of the user's connections, agents among them, and to
// nobody else's; one for a connection comes to that.
func TestNotices(t *testing.T) {
	t.Parallel()
	u := sqsServer(t)
	l := awslocaltest.Start(t, awslocal.Config{SQS: u, TokenSecret: noticesSecret, Lines: lines(t)})
	plain, another, agent, stranger := join(t, l, bearer(t, "ann")), join(t, l, bearer(t, "ann")), join(t, l, bearer(t, "ann")), join(t, l, bearer(t, "bob"))
	agent.send(t, `{"type":"ready","protocol":2,"capabilities":["actions","notices"]}`)
	if got := agent.read(t); !strings.Contains(got, `"notices"`) {
		t.Fatalf("ready is answered by %s", got)
	}
	c := outside(u)
	sent := time.Now().Add(-time.Minute)
	put(t, c, l.Queues().User, `{"userId":"ann","data":{"title":"Build","text":"is red"}}`)
	ids := make(map[string]bool)
	for _, to := range []client{plain, another, agent} {
		n := to.notice(t)
		if string(n.Data) != `{"title":"Build","text":"is red"}` || n.ID == "" || time.UnixMilli(n.Time).Before(sent) {
			t.Errorf("got %+v, %s", n, n.Data)
		}
		ids[n.ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("the copies are told apart: %v", ids)
	}
	put(t, c, l.Queues().Connection, fmt.Sprintf(`{"connectionId":%q,"id":"n-1","data":"just you"}`, stranger.id(t)))
	if n := stranger.notice(t); n.ID != "n-1" || string(n.Data) != `"just you"` {
		t.Errorf("got %+v, %s", n, n.Data)
	}
	used := l.Meter().Usage()
	if used.QueueRequests == 0 {
		t.Error("no calls to SQS are counted")
	}
	allowed := map[string]bool{"sqs:ReceiveMessage": true, "sqs:DeleteMessage": true, "sqs:SendMessage": true}
	for _, call := range l.Meter().Calls() {
		if strings.HasPrefix(call.Action, "sqs:") && (call.Role != "notices" || !allowed[call.Action]) {
			t.Errorf("unforeseen: %v", call)
		}
	}
}

// A connection that has gone unnoticed is forgotten when a notice finds it gone, and no
// message fails by it, once it has been there for longer than $connect may take.
func TestNoticeForWhoHasGone(t *testing.T) {
	t.Parallel()
	u := sqsServer(t)
	invoked := make(chan string, 100)
	l := awslocaltest.Start(t, awslocal.Config{SQS: u, TokenSecret: noticesSecret, Visibility: time.Second, Lines: lines(t), Wrap: watch(awslocal.Notices, invoked),
		Chaos: chaos.New(1, chaos.Plan{chaos.DisconnectLost: {Probability: 1}})})
	here, goes := join(t, l, bearer(t, "ann")), join(t, l, bearer(t, "ann"))
	tables, err := awslocal.Tables(l)
	if err != nil {
		t.Fatal(err)
	}
	gone := goes.id(t)
	grown, err := tables.Connection(t.Context(), gone)
	if err != nil {
		t.Fatal(err)
	}
	grown.ConnectedAt = grown.ConnectedAt.Add(-time.Minute)
	if err := tables.PutConnection(t.Context(), *grown); err != nil {
		t.Fatal(err)
	}
	l.AgentsAPI().Kill(gone)
	if _, _, err := goes.ReadMessage(); err == nil {
		t.Fatal("the connection is still there")
	}
	put(t, outside(u), l.Queues().User, `{"userId":"ann","data":1}`)
	if n := here.notice(t); string(n.Data) != "1" {
		t.Errorf("got %s", n.Data)
	}
	for posted := 0; posted < 2; { // to both
		posted += strings.Count(<-invoked, "connectionId")
	}
	connections, err := tables.UserConnections(t.Context(), "user:ann")
	if err != nil || len(connections) != 1 || connections[0].Connection == gone {
		t.Errorf("connections of the user: %+v, %v", connections, err)
	}
}

// What nobody can make a notice of comes five times, and ends in the dead-letter queue
// of its queue; those beside it are delivered.
func TestPoisonedNotices(t *testing.T) {
	t.Parallel()
	u := sqsServer(t)
	l := awslocaltest.Start(t, awslocal.Config{SQS: u, TokenSecret: noticesSecret, Visibility: time.Second})
	ann := join(t, l, bearer(t, "ann"))
	c, q := outside(u), l.Queues()
	put(t, c, q.User, "no JSON")
	put(t, c, q.User, `{"userId":"ann","data":"fine"}`)
	put(t, c, q.Connection, `{"connectionId":"../../x","data":1}`)
	put(t, c, q.Connection, `{"data":1}`)
	if n := ann.notice(t); string(n.Data) != `"fine"` {
		t.Errorf("got %s", n.Data)
	}
	for dead, want := range map[string]string{q.UserDead: "no JSON", q.ConnectionDead: `{"data":1}`} {
		for found := false; !found; {
			got, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &dead, WaitTimeSeconds: 20, MaxNumberOfMessages: 10,
				MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got.Messages {
				found = found || *m.Body == want
				if n := m.Attributes["ApproximateReceiveCount"]; n < "5" {
					t.Errorf("%s is dead after %s times", *m.Body, n)
				}
			}
		}
	}
}

// Queues that are there are taken as they are.
func TestQueuesThatAreThere(t *testing.T) {
	t.Parallel()
	u := sqsServer(t)
	c, stack := outside(u), dynamolocal.Table("culvert")
	name := stack + "-notify-user"
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "7"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l := awslocaltest.Start(t, awslocal.Config{Name: stack, SQS: u})
		if got := l.Queues().User; got != *made.QueueUrl {
			t.Errorf("the queue is %s, want %s", got, *made.QueueUrl)
		}
		l.Close()
	}
	about, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil || about.Attributes["VisibilityTimeout"] != "7" {
		t.Errorf("the queue has become %v, %v", about.Attributes, err)
	}
	connection := stack + "-notify-connection"
	queue, err := c.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &connection})
	if err != nil {
		t.Fatal(err)
	}
	if about, err = c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue.QueueUrl, AttributeNames: []types.QueueAttributeName{"All"}}); err != nil {
		t.Fatal(err)
	}
	var redrive struct {
		Target string `json:"deadLetterTargetArn"`
		Most   int    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(about.Attributes["RedrivePolicy"]), &redrive); err != nil || redrive.Most != 5 || !strings.HasSuffix(redrive.Target, ":"+connection+"-dead") {
		t.Errorf("redrive policy %s, %v", about.Attributes["RedrivePolicy"], err)
	}
	if about.Attributes["VisibilityTimeout"] != "180" {
		t.Errorf("visibility timeout %s s", about.Attributes["VisibilityTimeout"])
	}
}

// When all of it stops, nobody waits for the end of a long poll, and nobody polls again.
func TestPollsEndWithTheAccount(t *testing.T) {
	t.Parallel()
	var under, ever atomic.Int32
	polls := make(chan struct{}, 100)
	proxy := httputil.NewSingleHostReverseProxy(sqsServer(t))
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.ReceiveMessage" {
			ever.Add(1)
			under.Add(1)
			defer under.Add(-1)
			polls <- struct{}{}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	l := awslocaltest.Start(t, awslocal.Config{SQS: u})
	for range 4 { // two of each queue
		<-polls
	}
	began := time.Now()
	l.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	server.Close() // waits for what is under way
	if n := under.Load(); n != 0 {
		t.Errorf("%d polls are under way", n)
	}
	if n := ever.Load(); n != 4 {
		t.Errorf("asked %d times", n)
	}
}

func TestNoSQSServer(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler()) // a server, but none of queues
	t.Cleanup(other.Close)
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	for base, want := range map[string]string{nobody.URL: "SQS at " + nobody.URL + ": nothing answers there", other.URL: "-notify-user at " + other.URL} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		l, err := awslocal.New(awslocal.Config{Bootstrap: awslocaltest.Bootstrap(t), SQS: u})
		if err != nil {
			t.Fatal(err)
		}
		err = l.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, awslocal.ErrNoSQS) != (base == nobody.URL) {
			t.Errorf("%s: %v, want %q", base, err, want)
		}
	}
}
