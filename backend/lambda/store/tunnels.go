package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// MaxConnectionAge is how long API Gateway lets a WebSocket live, whatever happens
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html).
const MaxConnectionAge = 2 * time.Hour

// clockSlack is what the clocks of API Gateway and of ours may differ by, and more.
const clockSlack = 2 * time.Minute

// Holder is the connection that holds a tunnel.
type Holder struct {
	// Connection is its ID at API Gateway.
	Connection  string
	ConnectedAt time.Time
	// Declared says that the agent speaks protocol 2; Capabilities are those both
	// sides use.
	Declared     bool
	Capabilities []wire.Capability
	// Quota is what the tunnel is counted by.
	Quota string
	// Ends is when the token of the connection counts no more, and the hold with it; zero
	// if it always does.
	Ends time.Time
}

// last is the end of the longest life that the hold can have: API Gateway does not close
// a connection whose token has expired, nor may its agent.
func (h *Holder) last() (end time.Time, slack time.Duration) {
	end = h.ConnectedAt.Add(MaxConnectionAge)
	if !h.Ends.IsZero() && h.Ends.Before(end) {
		return h.Ends, 0
	}
	return end, clockSlack
}

// Can reports whether both sides use the capability.
func (h *Holder) Can(c wire.Capability) bool { return slices.Contains(h.Capabilities, c) }

// Tunnel is a tunnel's record, and who holds it, or held it last.
type Tunnel struct {
	tunnel.Record
	Holder
	// Since is when it came to be live, or not.
	Since time.Time
}

// Names of attributes.
const (
	attrOwner      = "owner"
	attrEpoch      = "epoch"
	attrInstance   = "instance"
	attrNamed      = "named"
	attrLive       = "live"
	attrSeen       = "seen"
	attrSince      = "since"
	attrConnection = "connection"
	attrConnected  = "connected"
	attrDeclared   = "declared"
	attrCaps       = "caps"
	attrQuota      = "quota"
	attrEnds       = "ends"
)

// keep is how long the tunnel's item is of use after its agent has gone.
func keep(r *tunnel.Record) time.Duration {
	switch {
	case r.Named:
		return tunnel.KeepNamed
	case r.Owner == "":
		return tunnel.Linger
	}
	return tunnel.KeepRandom
}

func (t *Tunnel) item() item {
	// The time to live is that of the longest life that the connection can have:
	// so the end of it needs not change it.
	last := t.ConnectedAt.Add(MaxConnectionAge + clockSlack + keep(&t.Record))
	i := item{keyID: text(t.ID), attrEpoch: number(t.Epoch), attrLive: flag(t.Live), attrSeen: millis(t.Seen),
		attrSince: millis(t.Since), attrConnected: millis(t.ConnectedAt), keyTTL: deadline(last)}.
		set(attrOwner, text(t.Owner)).set(attrInstance, text(t.Instance)).set(attrNamed, flag(t.Named)).
		set(attrConnection, text(t.Connection)).set(attrDeclared, flag(t.Declared)).
		set(attrCaps, join(t.Capabilities)).set(attrQuota, text(t.Quota))
	if !t.Ends.IsZero() {
		i[attrEnds] = millis(t.Ends)
	}
	return i
}

// tunnelOf reads an item. A connection whose end nobody has told us, because
// $disconnect is best effort, ends by its greatest age, and any by its token's end.
func tunnelOf(i item, now time.Time) *Tunnel {
	t := &Tunnel{
		Record: tunnel.Record{
			ID: i.text(keyID), Owner: i.text(attrOwner), Epoch: i.number(attrEpoch), Instance: i.text(attrInstance),
			Named: i.flag(attrNamed), Live: i.flag(attrLive), Seen: i.time(attrSeen),
		},
		Holder: Holder{
			Connection: i.text(attrConnection), ConnectedAt: i.time(attrConnected), Declared: i.flag(attrDeclared),
			Capabilities: list[wire.Capability](i, attrCaps), Quota: i.text(attrQuota),
			Ends: i.time(attrEnds),
		},
		Since: i.time(attrSince),
	}
	if end, slack := t.last(); t.Live && now.After(end.Add(slack)) {
		t.Live, t.Seen, t.Since = false, end, end
	}
	return t
}

// read gives the tunnel's item as it is, or nil.
func (s *Store) read(ctx context.Context, id string, consistent bool) (*Tunnel, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.names.Tunnels, Key: key(id), ConsistentRead: &consistent,
	})
	if err != nil {
		return nil, fmt.Errorf("look tunnel %s up: %w", id, err)
	}
	if len(out.Item) == 0 {
		return nil, nil
	}
	return tunnelOf(out.Item, s.now()), nil
}

// Lookup finds a tunnel for a visitor: ErrUnknown if there is none, or its agent
// left so long ago that visitors are told nothing of it (404). If its agent has
// left lately, Live is false (502). A look-up that is not consistent costs half and
// may miss what happened in the last second.
func (s *Store) Lookup(ctx context.Context, id string, consistent bool) (*Tunnel, error) {
	if tunnel.ValidID(id) != nil {
		return nil, ErrUnknown
	}
	t, err := s.read(ctx, id, consistent)
	switch {
	case err != nil:
		return nil, err
	case t == nil, !t.Live && s.now().Sub(t.Seen) >= tunnel.Linger:
		return nil, ErrUnknown
	}
	return t, nil
}

// Prolong notes that h, a connection that holds the tunnel id, has shown a token with
// another end. If somebody else holds it by now, that changes nothing.
func (s *Store) Prolong(ctx context.Context, id string, h Holder) error {
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &s.names.Tunnels,
		Key:                      key(id),
		UpdateExpression:         aws.String("SET #ends = :ends"),
		ConditionExpression:      aws.String("#connection = :mine AND #live = :true"),
		ExpressionAttributeNames: map[string]string{"#ends": attrEnds, "#live": attrLive, "#connection": attrConnection},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":ends": millis(h.Ends), ":true": flag(true), ":mine": text(h.Connection),
		},
	})
	switch {
	case lost(err):
		return nil
	case err != nil:
		return fmt.Errorf("prolong tunnel %s: %w", id, err)
	}
	return s.count(ctx, h, id, "", 0)
}

// Release ends the hold of connection on the tunnel id, if it still has it: a late
// $disconnect of a connection that was replaced changes nothing. It reports
// whether there was anything to end.
func (s *Store) Release(ctx context.Context, id, connection string) (bool, error) {
	ended, err := s.end(ctx, id, connection)
	if err != nil {
		return false, fmt.Errorf("release tunnel %s: %w", id, err)
	}
	return ended != nil, nil
}

// MarkGone is Release by whoever finds that API Gateway knows the connection no more,
// and uncounts it as well: its $disconnect may never come.
func (s *Store) MarkGone(ctx context.Context, id, connection string) (bool, error) {
	ended, err := s.end(ctx, id, connection)
	switch {
	case err != nil:
		return false, fmt.Errorf("mark tunnel %s gone: %w", id, err)
	case ended == nil:
		return false, nil
	}
	return true, s.Uncount(ctx, ended.text(attrQuota), connection)
}

// end gives the item as it is now, or nil if there was nothing to end.
func (s *Store) end(ctx context.Context, id, connection string) (item, error) {
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &s.names.Tunnels,
		Key:                 key(id),
		UpdateExpression:    aws.String("SET #live = :false, #seen = :now, #since = :now"),
		ConditionExpression: aws.String("#connection = :mine AND #live = :true"),
		ExpressionAttributeNames: map[string]string{
			"#live": attrLive, "#seen": attrSeen, "#since": attrSince, "#connection": attrConnection,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":false": flag(false), ":true": flag(true), ":now": millis(s.now()), ":mine": text(connection),
		},
		ReturnValues: types.ReturnValueAllNew,
	})
	if lost(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}
