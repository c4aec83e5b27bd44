package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/tunnel"
)

// Claimed is a tunnel that somebody has got.
type Claimed struct {
	Tunnel  Tunnel
	Verdict tunnel.Verdict
	// Previous is who held it until now, or nil if nobody did.
	Previous *Tunnel
}

// Claim gets the tunnel of claim c for the connection h, if package tunnel decides
// so; a Fresh claim gives ErrConflict if the ID exists by accident. max is how many
// tunnels h.Quota may hold at once; 0: any number. dead is a connection that has
// turned out to be dead, or "". For the verdict Unproven, nothing is changed, and
// Previous is the holder to be asked for a sign of life. A refusal is a *wire.Error.
func (s *Store) Claim(ctx context.Context, c tunnel.Claim, h Holder, max int, dead string) (*Claimed, error) {
	got, err := s.claim(ctx, c, h, max, dead)
	if err != nil || got.Verdict == tunnel.Unproven {
		// What was counted for nothing is given back; if that fails, it expires.
		if e := s.uncount(context.WithoutCancel(ctx), h); e != nil && err == nil {
			return nil, e
		}
	}
	return got, err
}

func (s *Store) claim(ctx context.Context, c tunnel.Claim, h Holder, max int, dead string) (*Claimed, error) {
	var cur, held *Tunnel // held is cur, if somebody holds it who lives
	counted := false
	for try := range maxTries {
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return nil, err
			}
		}
		// An ID that was made up just now is not looked for: the write fails if it exists.
		if !c.Fresh || try > 0 {
			var err error
			if cur, err = s.read(ctx, c.ID, true); err != nil {
				return nil, err
			}
			if cur != nil && cur.Live && cur.Connection == h.Connection {
				// Our write was done, and the answer to it lost.
				return &Claimed{Tunnel: *cur, Verdict: verdictAfter(held, c), Previous: held}, nil
			}
		}
		held = nil
		if cur != nil && cur.Live && cur.Connection != dead {
			held = cur
		}
		var record *tunnel.Record
		if cur != nil {
			r := cur.Record
			r.Live = held != nil
			record = &r
		}
		now := s.now()
		if c.Fresh && record != nil && !record.Expired(now) {
			return nil, ErrConflict // not so fresh: make another one up
		}
		next, v, err := tunnel.Decide(record, c, now)
		switch {
		case err != nil:
			return nil, err
		case v == tunnel.Unproven:
			return &Claimed{Verdict: v, Previous: cur}, nil
		}
		if !counted {
			replaced, limit := dead, max
			if held != nil {
				replaced, limit = held.Connection, 0 // one goes, one comes
			}
			if err := s.count(ctx, h, c.ID, replaced, limit); err != nil {
				return nil, err
			}
			counted = true
		}
		if next.Named && (record == nil || record.Expired(now)) {
			if err := s.reserve(ctx, h.Quota, c.ID, max); err != nil {
				return nil, err
			}
		}
		t := Tunnel{Record: next, Holder: h, Since: now}
		if v == tunnel.Renewed {
			t.Since = held.Since
		}
		err = s.put(ctx, &t, cur)
		if err == nil {
			return &Claimed{Tunnel: t, Verdict: v, Previous: held}, nil
		}
		if !lost(err) {
			return nil, fmt.Errorf("claim tunnel %s: %w", c.ID, err)
		}
	}
	return nil, fmt.Errorf("claim tunnel %s: %w", c.ID, ErrConflict)
}

// put writes t if the item is still cur.
func (s *Store) put(ctx context.Context, t, cur *Tunnel) error {
	in := &dynamodb.PutItemInput{TableName: &s.names.Tunnels, Item: t.item()}
	if cur == nil {
		in.ConditionExpression = aws.String("attribute_not_exists(#id)")
		in.ExpressionAttributeNames = map[string]string{"#id": keyID}
	} else {
		in.ConditionExpression = aws.String("#epoch = :epoch AND #connection = :connection")
		in.ExpressionAttributeNames = map[string]string{"#epoch": attrEpoch, "#connection": attrConnection}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{
			":epoch": number(cur.Epoch), ":connection": text(cur.Connection),
		}
	}
	_, err := s.db.PutItem(ctx, in)
	return err
}

// verdictAfter is how a claim was granted whose write was found done: held was the
// holder before it.
func verdictAfter(held *Tunnel, c tunnel.Claim) tunnel.Verdict {
	switch {
	case held == nil:
		return tunnel.Granted
	case c.Instance != "" && held.Instance == c.Instance:
		return tunnel.Renewed
	}
	return tunnel.TakenOver
}

// GiveBack undoes a claim whose agent could not be told of it: the tunnel is again
// of whoever held it before, if it was held, and of nobody otherwise.
func (s *Store) GiveBack(ctx context.Context, got *Claimed) error {
	mine := got.Tunnel
	if got.Previous == nil {
		_, err := s.Release(ctx, mine.ID, mine.Connection)
		return errors.Join(err, s.uncount(ctx, mine.Holder))
	}
	back := *got.Previous
	back.Epoch = mine.Epoch // it never goes down
	err := s.put(ctx, &back, &mine)
	if lost(err) {
		err = nil // it is somebody else's by now
	} else if err != nil {
		err = fmt.Errorf("give tunnel %s back: %w", mine.ID, err)
	} else {
		err = s.count(ctx, back.Holder, back.ID, mine.Connection, 0)
	}
	return errors.Join(err, s.uncount(ctx, mine.Holder))
}
