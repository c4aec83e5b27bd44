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

// Limiter bounds what tunnels serve, in units: one for each request, and one for each
// unitBytes of its body and of its answer, since these are what is paid for. It does so
// by leases: an environment takes several units at a time from the common count, ever
// more within a minute, and remembers that there are no more. So few requests cost a
// write, and environments that a burst has started do not take all of it to keep it.
// It is safe for use by many goroutines.
type Limiter struct {
	store *Store
	limit int // units of a tunnel in a minute
	most  int // of one lease

	mu   sync.Mutex
	held map[string]lease
}

type lease struct {
	left  int // below zero: what was served beyond the lease, and is paid by the next ones
	until time.Time
	size  int  // of the latest one in this minute
	last  bool // there are no more in this minute
}

const (
	unitBytes  = 100 << 10
	maxLeases  = 1000 // tunnels that are remembered
	firstLease = 5
	maxLease   = 40
)

// NewLimiter bounds each tunnel to limit units in a minute, of which an environment
// takes a tenth at once at most. limit 0 means no bound.
func (s *Store) NewLimiter(limit int) *Limiter {
	return &Limiter{store: s, limit: limit, most: min(max(limit/10, 1), maxLease), held: make(map[string]lease)}
}

// Allow takes a request of tunnel id with so many bytes of body. If there is nothing
// left, wait is how long it is until there is more. One that is larger than what is
// left is served, and its rest is missing later.
func (l *Limiter) Allow(ctx context.Context, id string, bytes int) (ok bool, wait time.Duration, err error) {
	if l.limit <= 0 {
		return true, 0, nil
	}
	units := 1 + bytes/unitBytes
	ok, wait, want := l.take(id, units)
	if want == 0 {
		return ok, wait, nil
	}
	granted, until, err := l.store.Lease(ctx, id, l.limit, want)
	if err != nil {
		return false, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	have := l.held[id]
	if !have.until.Equal(until) {
		l.makeRoom()
		have = lease{left: min(have.left, 0), until: until}
	}
	have.left += granted
	have.size = want
	have.last = granted < want
	if ok = have.left > 0; ok {
		have.left -= units
	}
	l.held[id] = have
	return ok, until.Sub(l.store.now()), nil
}

// Spend counts so many bytes of an answer, whose length nobody knew before. It is paid
// by what the tunnel serves next here.
func (l *Limiter) Spend(id string, bytes int) {
	units := bytes / unitBytes
	if l.limit <= 0 || units == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, held := l.held[id]; held {
		have.left -= units
		l.held[id] = have
	}
}

// take uses the lease that is held. want is how many units are to be leased if that is
// not enough, and 0 if it is, or if there are no more.
func (l *Limiter) take(id string, units int) (ok bool, wait time.Duration, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, held := l.held[id]
	now := l.store.now()
	if !held || !now.Before(have.until) {
		return false, 0, l.next(min(have.left, 0), 0, units)
	}
	if have.left >= units || have.left > 0 && have.last {
		have.left -= units
		l.held[id] = have
		return true, 0, 0
	}
	if have.last {
		return false, have.until.Sub(now), 0
	}
	return false, 0, l.next(have.left, have.size, units)
}

// next is the size of the lease after one of size, with so many units left of it.
func (l *Limiter) next(left, size, units int) int {
	return min(max(min(max(2*size, firstLease), l.most), units-left), l.limit)
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
