package store_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.uber.org/goleak"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// spy stands between a Store and its DynamoDB.
type spy struct {
	*dynamodb.Client
	names store.Names

	mu      sync.Mutex
	gets    []*dynamodb.GetItemInput
	puts    []*dynamodb.PutItemInput
	updates []*dynamodb.UpdateItemInput
	queries []*dynamodb.QueryInput
	// beforePut runs once before the next put of a tunnel, as if somebody were faster.
	beforePut func()
	// losePut makes the next put of a tunnel happen twice, as when its answer is lost.
	losePut bool
	// refuse makes all conditional writes fail.
	refuse bool
}

func (s *spy) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	s.mu.Lock()
	s.gets = append(s.gets, in)
	s.mu.Unlock()
	return s.Client.GetItem(ctx, in, o...)
}

func (s *spy) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	s.mu.Lock()
	s.puts = append(s.puts, in)
	var before func()
	lose := false
	if *in.TableName == s.names.Tunnels {
		before, s.beforePut = s.beforePut, nil
		lose, s.losePut = s.losePut, false
	}
	refuse := s.refuse
	s.mu.Unlock()
	if refuse {
		return nil, &types.ConditionalCheckFailedException{}
	}
	if before != nil {
		before()
	}
	if lose {
		if _, err := s.Client.PutItem(ctx, in, o...); err != nil {
			return nil, err
		}
	}
	return s.Client.PutItem(ctx, in, o...)
}

func (s *spy) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.mu.Lock()
	s.updates = append(s.updates, in)
	s.mu.Unlock()
	return s.Client.UpdateItem(ctx, in, o...)
}

func (s *spy) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	s.mu.Lock()
	s.queries = append(s.queries, in)
	s.mu.Unlock()
	return s.Client.Query(ctx, in, o...)
}

// items counts what is in a table.
func (s *spy) items(t *testing.T, table string) int {
	t.Helper()
	out, err := s.Client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Items)
}

// open is a Store on tables of its own, with a clock.
func open(t *testing.T) (*store.Store, *clock, *spy) {
	t.Helper()
	client := storetest.Client(t)
	db := &spy{Client: client, names: storetest.Tables(t, client)}
	c := &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	s, err := store.New(store.Config{Client: db, Names: db.names, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, db
}

func TestConfig(t *testing.T) {
	t.Parallel()
	names := store.Names{Tunnels: "t", Connections: "c", Answers: "a"}
	for name, cfg := range map[string]store.Config{
		"no client":  {Names: names},
		"no tunnels": {Client: &spy{}, Names: store.Names{Connections: "c", Answers: "a"}},
		"no answers": {Client: &spy{}, Names: store.Names{Tunnels: "t", Connections: "c"}},
		"neither":    {Client: &spy{}, Names: store.Names{Connections: "c"}},
		"half":       {Client: &spy{}, Names: store.Names{Connections: "c", Users: "u", Tunnels: "t"}},
	} {
		if _, err := store.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// Visitors' functions have nothing to do with connections.
	names.Connections = ""
	s, err := store.New(store.Config{Client: &spy{}, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Connection(t.Context(), "c")
	for _, err := range []error{
		err, s.PutConnection(t.Context(), store.Connection{ID: "c"}), s.Ponged(t.Context(), "c"), s.Attach(t.Context(), "shop", store.Holder{Connection: "c"}, store.Agent{}),
		s.Authorize(t.Context(), "c", auth.Identity{Subject: "ann"}, ""), s.Forget(t.Context(), "c"), s.PutUserConnection(t.Context(), "user:ann", store.UserConnection{}),
		s.ForgetUserConnection(t.Context(), "user:ann", "c"), second(s.UserConnections(t.Context(), "user:ann")),
		second(s.Revoked(t.Context(), auth.Identity{Subject: "ann"})), second(s.AuthorizeFailed(t.Context(), "c")),
	} {
		if !errors.Is(err, store.ErrNoTable) {
			t.Errorf("without the table: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func stringOf(v types.AttributeValue) string {
	s, _ := v.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func numberOf(v types.AttributeValue) int64 {
	n, _ := v.(*types.AttributeValueMemberN)
	if n == nil {
		return 0
	}
	i, _ := strconv.ParseInt(n.Value, 10, 64)
	return i
}
