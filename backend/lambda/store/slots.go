package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	slotsPrefix = "streams#"
	attrSlot    = "slot"
)

// Slots bounds how many streams a tunnel has open at once. Each holds one of its slots,
// until it is given back, or at the latest until it cannot be open any more: whoever
// held it may have been killed. It is safe for use by many goroutines.
type Slots struct {
	store *Store
	n     int
}

// NewSlots gives each tunnel n slots.
func (s *Store) NewSlots(n int) *Slots { return &Slots{store: s, n: n} }

// Take takes a slot of tunnel id until a time. If there is one, release gives it back;
// ok is false if there is none. A free one is found with a write, or few.
func (l *Slots) Take(ctx context.Context, id string, until time.Time) (release func(context.Context) error, ok bool, err error) {
	s := l.store
	for slot := range l.n {
		now := s.now()
		// The nanoseconds tell this stream from the next one in the slot.
		mine := number(until.UnixNano())
		_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                &s.names.Tunnels,
			Key:                      key(slotsPrefix + id),
			UpdateExpression:         aws.String("SET #slot = :mine, #ttl = :ttl"),
			ConditionExpression:      aws.String("attribute_not_exists(#slot) OR #slot < :now"),
			ExpressionAttributeNames: map[string]string{"#slot": attrSlot + strconv.Itoa(slot), "#ttl": keyTTL},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":mine": mine, ":now": number(now.UnixNano()), ":ttl": deadline(until.Add(time.Hour)),
			},
		})
		if lost(err) {
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("count streams of tunnel %s: %w", id, err)
		}
		return func(ctx context.Context) error { return l.release(ctx, id, slot, mine) }, true, nil
	}
	return nil, false, nil
}

// release gives a slot back, if it has not been another's meanwhile.
func (l *Slots) release(ctx context.Context, id string, slot int, mine types.AttributeValue) error {
	s := l.store
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.names.Tunnels,
		Key:                       key(slotsPrefix + id),
		UpdateExpression:          aws.String("REMOVE #slot"),
		ConditionExpression:       aws.String("#slot = :mine"),
		ExpressionAttributeNames:  map[string]string{"#slot": attrSlot + strconv.Itoa(slot)},
		ExpressionAttributeValues: map[string]types.AttributeValue{":mine": mine},
	})
	if err != nil && !lost(err) {
		return fmt.Errorf("give back a stream of tunnel %s: %w", id, err)
	}
	return nil
}
