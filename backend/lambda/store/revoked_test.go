package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
)

type values = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func TestRevoked(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	now := c.Now()
	for _, item := range []values{
		{"id": str("revoked#id#t1")},
		{"id": str("revoked#id#old"), "ttl": num(now.Unix() - 1)},
		{"id": str("revoked#id#kept"), "ttl": num(now.Unix() + 60)},
		{"id": str("revoked#user#eve")},
		{"id": str("revoked#user#bob"), "before": num(now.UnixMilli())},
		{"id": str("revoked#user#joe"), "before": num(now.UnixMilli()), "ttl": num(now.Unix())},
	} {
		if _, err := db.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &db.names.Connections, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		token auth.Identity
		want  bool
	}{
		"no name":               {auth.Identity{Subject: "ann"}, false},
		"another name":          {auth.Identity{Subject: "ann", ID: "t2"}, false},
		"this name":             {auth.Identity{Subject: "ann", ID: "t1"}, true},
		"over by now":           {auth.Identity{Subject: "ann", ID: "old"}, false},
		"not over":              {auth.Identity{Subject: "ann", ID: "kept"}, true},
		"a name like a user":    {auth.Identity{Subject: "t1"}, false},
		"a name with a sign":    {auth.Identity{Subject: "ann", ID: "#id#t1"}, false},
		"all of a user":         {auth.Identity{Subject: "eve", IssuedAt: now.Add(time.Hour)}, true},
		"issued before":         {auth.Identity{Subject: "bob", IssuedAt: now.Add(-time.Millisecond)}, true},
		"issued at that moment": {auth.Identity{Subject: "bob", IssuedAt: now}, false},
		"issued after":          {auth.Identity{Subject: "bob", ID: "t2", IssuedAt: now.Add(time.Hour)}, false},
		"issued, who knows":     {auth.Identity{Subject: "bob"}, true},
		"the user's time is up": {auth.Identity{Subject: "joe"}, false},
		"a name without end":    {auth.Identity{Subject: "ann", ID: strings.Repeat("x", 4<<10)}, false},
		"one and the other":     {auth.Identity{Subject: "eve", ID: "t1"}, true},
	} {
		if got, err := s.Revoked(t.Context(), c.token); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
}

// partial serves nothing of a batch at first.
type partial struct {
	*spy
	empty, asked int
	err          error
}

func (p *partial) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	p.asked++
	for _, k := range in.RequestItems {
		if k.ConsistentRead == nil || !*k.ConsistentRead {
			return nil, errors.New("it is not read consistently")
		}
	}
	if p.err != nil || p.asked <= p.empty {
		return &dynamodb.BatchGetItemOutput{UnprocessedKeys: in.RequestItems}, p.err
	}
	return p.Client.BatchGetItem(ctx, in, o...)
}

// That a batch was not served says nothing about a token: it is asked for again, and
// nobody is let in meanwhile.
func TestRevokedInParts(t *testing.T) {
	t.Parallel()
	_, c, db := open(t)
	item := values{"id": str("revoked#id#t1")}
	if _, err := db.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &db.names.Connections, Item: item}); err != nil {
		t.Fatal(err)
	}
	token := auth.Identity{Subject: "ann", ID: "t1"}
	p := &partial{spy: db, empty: 2}
	s, err := store.New(store.Config{Client: p, Names: db.names, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Revoked(t.Context(), token); err != nil || !got || p.asked != 3 {
		t.Errorf("after %d tries: %v, %v", p.asked, got, err)
	}
	p.empty = 1 << 20
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := s.Revoked(ctx, token); err == nil {
		t.Errorf("never served: %v", got)
	}
	p.err = errors.New("down")
	if _, err := s.Revoked(t.Context(), token); !errors.Is(err, p.err) {
		t.Errorf("got %v", err)
	}
}

// Whoever names a connection may name anything. What stands beside the connections is
// none, and stays.
func TestRevocationsAreNoConnections(t *testing.T) {
	t.Parallel()
	s, _, db := open(t)
	ctx := t.Context()
	for _, id := range []string{"revoked#user#ann", "revoked#id#t1"} {
		if _, err := db.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &db.names.Connections, Item: values{"id": str(id)}}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Connection(ctx, id); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
		if err := s.Forget(ctx, id); err == nil {
			t.Errorf("%s is forgotten", id)
		}
		if err := s.ForgetOf(ctx, "user:ann", id); err == nil {
			t.Errorf("%s is forgotten as ann's", id)
		}
	}
	for _, token := range []auth.Identity{{Subject: "ann"}, {Subject: "bob", ID: "t1"}} {
		if got, err := s.Revoked(ctx, token); err != nil || !got {
			t.Errorf("%+v counts again: %v", token, err)
		}
	}
}
