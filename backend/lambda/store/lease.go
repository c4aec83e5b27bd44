package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	quotaPrefix = "quota#"
	attrUsed    = "used"
)

// Lease takes up to want of the requests that a tunnel may serve within the
// present minute, of which there are limit. granted is how many it got, until the
// end of that minute.
func (s *Store) Lease(ctx context.Context, id string, limit, want int) (granted int, until time.Time, err error) {
	minute := s.now().Truncate(time.Minute)
	until = minute.Add(time.Minute)
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &s.names.Tunnels,
		Key:                      key(fmt.Sprintf("%s%s#%d", quotaPrefix, id, minute.Unix()/60)),
		UpdateExpression:         aws.String("SET #ttl = :ttl ADD #used :want"),
		ConditionExpression:      aws.String("attribute_not_exists(#used) OR #used < :limit"),
		ExpressionAttributeNames: map[string]string{"#used": attrUsed, "#ttl": keyTTL},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":want": number(int64(want)), ":limit": number(int64(limit)), ":ttl": deadline(until.Add(time.Minute)),
		},
		ReturnValues: types.ReturnValueUpdatedNew,
	})
	if lost(err) {
		return 0, until, nil
	}
	if err != nil {
		return 0, until, fmt.Errorf("count requests of tunnel %s: %w", id, err)
	}
	over := max(item(out.Attributes).number(attrUsed)-int64(limit), 0)
	return max(want-int(over), 0), until, nil
}

// Limiter bounds the requests that tunnels serve, by leases: an environment takes
// several requests at a time from the common count, and remembers that there are no
// more, so that few requests cost a write. It is safe for use by many goroutines.
type Limiter struct {
	store *Store
	limit int // requests of a tunnel in a minute
	lease int

	mu   sync.Mutex
	held map[string]lease
}

type lease struct {
	left  int
	until time.Time
	last  bool // there are no more in this minute
}

const (
	maxLeases = 1000 // tunnels that are remembered
	maxLease  = 20
)

// NewLimiter bounds each tunnel to limit requests in a minute, of which an
// environment takes a tenth at once. limit 0 means no bound.
func (s *Store) NewLimiter(limit int) *Limiter {
	return &Limiter{store: s, limit: limit, lease: min(max(limit/10, 1), maxLease), held: make(map[string]lease)}
}

// Allow takes one request of tunnel id. If there is none left, wait is how long it
// is until there are more.
func (l *Limiter) Allow(ctx context.Context, id string) (ok bool, wait time.Duration, err error) {
	if l.limit <= 0 {
		return true, 0, nil
	}
	if ok, wait, known := l.take(id); known {
		return ok, wait, nil
	}
	granted, until, err := l.store.Lease(ctx, id, l.limit, l.lease)
	if err != nil {
		return false, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	have := l.held[id]
	if !have.until.Equal(until) {
		l.makeRoom()
		have = lease{until: until}
	}
	have.left += granted
	have.last = granted < l.lease
	if ok = have.left > 0; ok {
		have.left--
	}
	l.held[id] = have
	return ok, until.Sub(l.store.now()), nil
}

// take uses the lease that is held; known is false if a new one is to be tried.
func (l *Limiter) take(id string) (ok bool, wait time.Duration, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, held := l.held[id]
	now := l.store.now()
	switch {
	case !held || !now.Before(have.until):
		return false, 0, false
	case have.left > 0:
		have.left--
		l.held[id] = have
		return true, 0, true
	}
	return false, have.until.Sub(now), have.last
}

// makeRoom forgets leases when there are too many, the ended ones first.
func (l *Limiter) makeRoom() {
	if len(l.held) < maxLeases {
		return
	}
	now := l.store.now()
	for id, have := range l.held {
		if !now.Before(have.until) {
			delete(l.held, id)
		}
	}
	if len(l.held) >= maxLeases {
		clear(l.held)
	}
}
