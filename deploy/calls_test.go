package deploy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/link"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/action"
	"culvert/backend/auth"
	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/sqslocal"
	"culvert/backend/lambda/agents"
	"culvert/backend/lambda/store"
)

// TestRolesCoverWhatIsCalled runs the real program in the local account, has it do all
// that it can, and holds every call of AWS that was seen on the way against the roles:
// each has to be allowed, and everything allowed has to be used.
func TestRolesCoverWhatIsCalled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts DynamoDB Local, an SQS server and the real program")
	}
	t.Parallel()
	queues, err := url.Parse(sqslocal.Test(t))
	if err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(s3mem.New(), gofakes3.WithTimeSkewLimit(0), gofakes3.WithLogger(gofakes3.DiscardLog()))
	bucket := httptest.NewServer(fake.Server())
	t.Cleanup(bucket.Close)
	s3, err := url.Parse(bucket.URL)
	if err != nil {
		t.Fatal(err)
	}
	local := awslocaltest.Start(t, awslocal.Config{
		Name: stack, FunctionURL: "127.0.0.1:0", S3: s3, SQS: queues, TokenSecret: []byte(secret),
		Env: map[string]string{"CULVERT_TUNNEL_RPM": "100000"},
	})
	exercise(t, local)
	exerciseNotices(t, local)

	tmpl := load(t, everything())
	allowed := make(map[string][]grant) // by the stand-in's names of functions
	for function, role := range map[string]string{
		"agents": "AgentsRole", "processor": "ProcessorRole", "notices": "NoticesRole", "public": "PublicRole", "stream": "StreamRole", "keys": "KeysRole",
	} {
		allowed[function] = grants(tmpl, role)
	}
	used := make(map[grant]bool)
	for _, c := range local.Meter().Calls() {
		arn := asInTemplate(c.Resource)
		i := slices.IndexFunc(allowed[c.Role], func(g grant) bool { return g.action == c.Action && covers(g.resource, arn) })
		if i < 0 {
			t.Errorf("the function %s called %s on %s, which its role does not allow", c.Role, c.Action, arn)
			continue
		}
		used[allowed[c.Role][i]] = true
	}
	for function, grants := range allowed {
		for _, g := range grants {
			// Lambda itself writes the logs, and looks at queues before it asks them.
			if !used[g] && !strings.HasPrefix(g.action, "logs:") && g.action != "sqs:GetQueueAttributes" {
				t.Errorf("the role of %s allows %s on %s, and nothing calls it", function, g.action, g.resource)
			}
		}
	}
}

// asInTemplate translates an ARN of the local account to the words of this package.
func asInTemplate(arn string) string {
	for table, id := range map[string]string{"tunnels": "TunnelsTable", "connections": "ConnectionsTable", "users": "UsersTable", "answers": "AnswersTable"} {
		if arn == meter.TableARN("us-east-1", account, stack+"-"+table) {
			return "arn:" + id
		}
	}
	switch arn {
	case meter.QueueARN("us-east-1", account, stack+"-notify-user"):
		return "arn:NotifyUserQueue"
	case meter.QueueARN("us-east-1", account, stack+"-notify-connection"):
		return "arn:NotifyConnectionQueue"
	case "arn:aws:lambda:us-east-1:" + account + ":function:processor":
		return "arn:ProcessorFunction"
	}
	if object, ok := strings.CutPrefix(arn, "arn:aws:s3:::"+stack+"-bodies/"); ok {
		return "arn:BodiesBucket/" + object
	}
	return strings.NewReplacer("us-east-1", region, "agentsapi1", "AgentsApi", "waitersap1", "WaitersApi").Replace(arn)
}

func covers(pattern, arn string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return len(arn) > len(prefix) && strings.HasPrefix(arn, prefix)
	}
	return pattern == arn
}

// exercise takes the local account through all that it does with AWS.
func exercise(t *testing.T, local *awslocal.Local) {
	t.Helper()
	large := make([]byte, 300<<10)
	rand.Read(large) // so that it stays large
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(large)
		case "/echo":
			io.Copy(w, r.Body)
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
			}
		}
	}))
	t.Cleanup(service.Close)
	owner, err := config.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tunnel := open(t, owner, local, service.URL, "first")
	await(t, "the agent to be online", func() bool { return tunnel.Status().State == session.Online })

	// Pushed, after the first one; both ways through the bucket; streamed.
	public, stream := local.PublicURL()+"/first", strings.TrimSuffix(local.StreamURL(), "/")+"/first"
	for function, base := range map[string]string{"public": public, "stream": stream} {
		await(t, function+" to dial the waiters' API", func() bool {
			visit(t, base+"/echo", []byte("hello"), []byte("hello"))
			return called(local, function, "execute-api:Invoke", "")
		})
		visit(t, base+"/echo", large, large)
		visit(t, base+"/large", nil, large)
	}
	visit(t, stream+"/stream", nil, []byte("data: 0\n\ndata: 1\n\ndata: 2\n\n"))
	await(t, "an answer to be pushed", func() bool {
		visit(t, public+"/echo", []byte("hello"), []byte("hello"))
		return called(local, "agents", "execute-api:ManageConnections", "waitersap1")
	})

	// The same owner wants the same name once more: the holder is asked whether it is
	// alive, the newcomer is refused, and its connection ended.
	second := open(t, owner, local, service.URL, "first")
	await(t, "the second process to be refused", func() bool { return second.Status().State == session.Refused })
	await(t, "its connection to be ended", func() bool {
		return called(local, "agents", "execute-api:ManageConnections", "/DELETE/")
	})

	// Somebody asks for everything that has a route, and leaves.
	client := ask(t, local)
	for _, action := range slices.Concat(agents.OwnActions(), action.Names()) {
		if _, err := client.Ask(t.Context(), action, token(t)); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
	client.Close()
	await(t, "the client to be forgotten", func() bool { return called(local, "agents", "dynamodb:DeleteItem", "-users") })

	// The stack is deleted.
	outcomes := make(chan string, 1)
	cloudFormation := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var o struct{ Status string }
		_ = json.NewDecoder(r.Body).Decode(&o)
		outcomes <- o.Status
	}))
	t.Cleanup(cloudFormation.Close)
	name := "/culvert/" + stack + "/keys"
	event, err := json.Marshal(map[string]any{
		"RequestType": "Delete", "RequestId": "1", "ResponseURL": cloudFormation.URL, "ResourceType": "Custom::CulvertKeys", "LogicalResourceId": "Keys",
		"PhysicalResourceId": name, "StackId": "arn:aws:cloudformation:us-east-1:" + account + ":stack/" + stack + "/1",
		"ResourceProperties": map[string]string{"Parameter": name, "Generation": "1", "OnDelete": "delete"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.Function(awslocal.Keys).Invoke(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-outcomes:
		if status != "SUCCESS" {
			t.Errorf("deleting the keys: %s", status)
		}
	default:
		t.Error("CloudFormation was not told that the keys are gone")
	}
}

// ask connects without a tunnel.
func ask(t *testing.T, local *awslocal.Local) *link.Client {
	t.Helper()
	backend, err := url.Parse(local.AgentsURL())
	if err != nil {
		t.Fatal(err)
	}
	client, err := (&link.Config{Backend: backend, Token: token(t)}).DialClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// token is one for the user ann.
func token(t *testing.T) string {
	t.Helper()
	token, err := auth.Mint([]byte(secret), auth.Grant{Identity: auth.Identity{Subject: "ann", ID: "t1", IssuedAt: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// exerciseNotices tells something to ann, who is there, and to a connection of hers
// that has gone without a word.
func exerciseNotices(t *testing.T, local *awslocal.Local) {
	t.Helper()
	endpoint := dynamolocal.Test(t)
	tables, err := store.New(store.Config{
		Client: dynamodb.New(dynamodb.Options{
			Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("culvert", "none", ""),
		}),
		Names: store.Names{Connections: stack + "-connections", Users: stack + "-users"},
	})
	if err != nil {
		t.Fatal(err)
	}
	connected := time.Now().Add(-time.Minute)
	gone := store.Connection{ID: "gone=", Identity: auth.Identity{Subject: "ann"}, ConnectedAt: connected}
	if err := tables.PutConnection(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := tables.PutUserConnection(t.Context(), gone.User(), store.UserConnection{Connection: gone.ID, ConnectedAt: connected}); err != nil {
		t.Fatal(err)
	}
	ask(t, local) // is there to be told, and takes notices
	server := sqslocal.Test(t)
	client := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: &server, Credentials: credentials.NewStaticCredentialsProvider("culvert", "none", ""),
	})
	queue := local.Queues().User
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: awssdk.String(`{"userId":"ann","data":"hello"}`)}); err != nil {
		t.Fatal(err)
	}
	await(t, "the one that has gone to be forgotten", func() bool {
		return called(local, "notices", "dynamodb:DeleteItem", "-users") && called(local, "notices", "dynamodb:DeleteItem", "-connections")
	})
}

// called says whether a function has done something, with a resource that has part in it.
func called(local *awslocal.Local, function, action, part string) bool {
	return slices.ContainsFunc(local.Meter().Calls(), func(c meter.Call) bool {
		return c.Role == function && c.Action == action && strings.Contains(c.Resource, part)
	})
}

// open opens a tunnel as the owner whose config folder it is.
func open(t *testing.T, dir *config.Dir, local *awslocal.Local, service, name string) *engine.Tunnel {
	t.Helper()
	e, err := engine.New(engine.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("closing the agent: %v", err)
		}
	})
	to, err := target.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := url.Parse(local.AgentsURL())
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := e.Open(engine.Spec{Target: to, Backend: backend, Name: name, Token: token(t)})
	if err != nil {
		t.Fatal(err)
	}
	return tunnel
}

// visit wants a body back.
func visit(t *testing.T, url string, body, want []byte) {
	t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
		t.Fatalf("%s %s: %s, %d bytes (want %d), %v: %.200s", method, url, res.Status, len(got), len(want), err, got)
	}
}

// await waits until something is so, up to half a minute.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}
