// Package store keeps in DynamoDB what must outlive one invocation: who holds which
// tunnel, who stands behind a connection, a user's connections, which tokens were
// revoked, answers that could not be handed over directly, and what has been used of a
// quota.
//
// Decisions are those of package tunnel; here they become conditional writes, so
// that of two processes that decide at the same time only one succeeds. There are
// four tables with the keys of [Names] and no index: an index is a moment behind
// its table, and a tunnel must be found right after it was opened. Little is deleted
// explicitly, since that costs as much as writing: the attribute ttl lets DynamoDB
// delete items for nothing, up to days later, so that every reader compares it too
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html). What
// would be shown to people meanwhile is deleted: the connections of a user.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// DynamoDB is what the store needs of a client of DynamoDB. A role needs to be
// allowed no other action.
type DynamoDB interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Names are the tables' names. Tunnels and Connections have the partition key "id"
// (S), Answers has "id" (S) and the sort key "part" (N), Users "id" (S) and the sort key
// "connection" (S). The attribute "ttl" of all is their time to live. A function that
// serves visitors has nothing to do with Connections and Users, and may leave them
// empty; one that has nothing to do with tunnels leaves Tunnels and Answers empty.
type Names struct {
	Tunnels, Connections, Answers, Users string
}

// errNoUsers is ErrNoTable of the users' table.
var errNoUsers = fmt.Errorf("%w: of users", ErrNoTable)

// Errors of a Store.
var (
	// ErrUnknown: there is no such item, or it is too old to count.
	ErrUnknown = errors.New("not in the store")
	// ErrConflict: others changed the same item again and again, or first.
	ErrConflict = errors.New("others changed the same item at the same time")
	// ErrExpired: it is too late to store this.
	ErrExpired = errors.New("too late to be stored")
	// ErrNoTable: this function was not given the table.
	ErrNoTable = errors.New("the name of the table is missing")
	// ErrTooLarge: it does not fit an item.
	ErrTooLarge = errors.New("too large to be stored")
)

// Config is what a Store needs.
type Config struct {
	Client DynamoDB
	Names  Names
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Store is safe for use by many goroutines.
type Store struct {
	db    DynamoDB
	names Names
	now   func() time.Time
}

// New makes a Store.
func New(cfg Config) (*Store, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("store: no DynamoDB client")
	case (cfg.Names.Tunnels == "") != (cfg.Names.Answers == ""),
		cfg.Names.Tunnels == "" && (cfg.Names.Connections == "" || cfg.Names.Users == ""):
		return nil, fmt.Errorf("store: the name of a table is missing: %+v", cfg.Names)
	}
	s := &Store{db: cfg.Client, names: cfg.Names, now: cfg.Now}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Retries of a write whose condition failed because somebody else was faster.
const (
	maxTries   = 12
	firstPause = 5 * time.Millisecond
	maxPause   = 400 * time.Millisecond
)

// pause waits before the next try, about twice as long each time, so that many who
// want the same item come in turn.
func pause(ctx context.Context, try int) error {
	most := min(firstPause<<try, maxPause)
	timer := time.NewTimer(rand.N(most) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lost reports whether a write did not happen because of its condition.
func lost(err error) bool {
	var failed *types.ConditionalCheckFailedException
	return errors.As(err, &failed)
}
