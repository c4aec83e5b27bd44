package dynamolocal

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.uber.org/goleak"

	"culvert/backend/awslocal/program"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func client(endpoint, accessKey string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, "secret", ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

// start is a server that ends with the test.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	Test(t) // the program is there, or the test is skipped
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func createTable(t *testing.T, db *dynamodb.Client, name string) {
	t.Helper()
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func tablesOf(t *testing.T, db *dynamodb.Client) []string {
	t.Helper()
	out, err := db.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.TableNames
}

func TestSharedByTheTests(t *testing.T) {
	t.Parallel()
	endpoint := Test(t)
	if again := Test(t); again != endpoint {
		t.Errorf("a second server at %s, beside %s", again, endpoint)
	}
	name := Table("tunnels")
	if Table("tunnels") == name {
		t.Error("the same table name twice")
	}
	createTable(t, client(endpoint, "one"), name)
	if got := strings.Join(tablesOf(t, client(endpoint, "another")), " "); !strings.Contains(got, name) {
		t.Errorf("another access key sees %q, want %s among them", got, name)
	}
}

func TestTablesBelongToTheAccessKey(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	createTable(t, client(s.Endpoint(), "secretkey"), "tunnels")
	if got := tablesOf(t, client(s.Endpoint(), "stranger")); len(got) != 0 {
		t.Errorf("a stranger sees the tables %q", got)
	}
}

func TestCloseEndsTheProgram(t *testing.T) {
	t.Parallel()
	s := start(t, Config{HeapMB: minHeap})
	pid := s.PID()
	s.Close()
	if err := s.Err(); err != nil {
		t.Errorf("closed, and yet an error: %v", err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d still runs", pid)
	}
	u, _ := url.Parse(s.Endpoint())
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Errorf("%s still listens", u.Host)
	}
	s.Close() // again does nothing
}

func TestAnUnexpectedEndIsTold(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	select {
	case <-s.Exited():
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is told")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "has ended (signal: killed)") {
		t.Errorf("got %v", err)
	}
}

// A port that was free may be somebody else's when the program wants it.
func TestPortThatIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	asked := 0
	s := start(t, Config{HeapMB: minHeap, port: func() (int, error) {
		if asked++; asked < ports {
			return taken.Addr().(*net.TCPAddr).Port, nil
		}
		return freePort()
	}})
	if asked != ports {
		t.Errorf("asked for %d ports, and got %s", asked, s.Endpoint())
	}
	tablesOf(t, client(s.Endpoint(), "one"))
}

// A program that dies at its start is not waited for until the time is over.
func TestDeadAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // without the program
	cmd, _ := Config{HeapMB: minHeap}.command("/bin/false", dir, 1)
	if err := program.StartTied(cmd); err != nil {
		t.Fatal(err)
	}
	err := ready(t.Context(), "http://127.0.0.1:1", func() bool { return program.Reaped(cmd.Process) })
	if err == nil || !strings.Contains(err.Error(), "ended at its start") {
		t.Errorf("got %v", err)
	}
}

func TestStartCanBeGivenUp(t *testing.T) {
	t.Parallel()
	Test(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := Start(ctx, Config{})
	if err == nil {
		s.Close()
		t.Error("started")
	}
	// Being stopped is no fault of Java's.
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestConfigChecked(t *testing.T) {
	t.Parallel()
	if _, err := Start(t.Context(), Config{HeapMB: 1}); err == nil || !strings.Contains(err.Error(), "64") {
		t.Errorf("a heap of 1 MB: %v", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Config{}.withDefaults()
	if err != nil || !strings.HasPrefix(cfg.Cache, cache) {
		t.Errorf("cache %q, %v; want it in %s", cfg.Cache, err, cache)
	}
}
