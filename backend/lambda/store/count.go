package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/wire"
)

// An owner's live tunnels are a map in one item: from the connection that holds one
// to when it must have ended at the latest, and the tunnel's ID. Connections, not
// tunnels, are the keys, so that the late end of one never uncounts its successor.
const (
	ownerPrefix = "owner#" // no tunnel ID has a "#"
	attrHeld    = "held"
	attrVersion = "version"

	// maxHeld bounds that map whatever a token says: 1000 entries are some 60 KB,
	// of which every write costs the whole.
	maxHeld = 1000
	// maxCleared bounds the old entries that one write takes out: an expression has
	// at most 4 KB. The others do not count either, and go with the next writes.
	maxCleared = 50
)

// Held is one of an owner's live tunnels.
type Held struct {
	Connection, Tunnel string
}

// HeldBy lists the live tunnels that are counted for quota.
func (s *Store) HeldBy(ctx context.Context, quota string) ([]Held, error) {
	held, _, err := s.held(ctx, quota)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var list []Held
	for connection, v := range held {
		if until, id := heldValue(v); until.After(now) {
			list = append(list, Held{Connection: connection, Tunnel: id})
		}
	}
	return list, nil
}

func (s *Store) held(ctx context.Context, quota string) (held map[string]types.AttributeValue, version int64, err error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.names.Tunnels, Key: key(ownerPrefix + quota), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("count tunnels: %w", err)
	}
	if m, ok := out.Item[attrHeld].(*types.AttributeValueMemberM); ok {
		held = m.Value
	}
	return held, item(out.Item).number(attrVersion), nil
}

// heldValue reads "MILLIS TUNNEL".
func heldValue(v types.AttributeValue) (until time.Time, id string) {
	s, ok := v.(*types.AttributeValueMemberS)
	if !ok {
		return time.Time{}, ""
	}
	ms, id, _ := strings.Cut(s.Value, " ")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}, ""
	}
	return time.UnixMilli(n), id
}

// count notes that h holds the tunnel id, instead of the connection replaced unless
// that is "". max is how many h.Quota may hold, 0 if it is not to be asked. A
// refusal is a *wire.Error.
func (s *Store) count(ctx context.Context, h Holder, id, replaced string, max int) error {
	if h.Quota == "" {
		return nil
	}
	for try := range maxTries {
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return err
			}
		}
		held, version, err := s.held(ctx, h.Quota)
		if err != nil {
			return err
		}
		now, live := s.now(), 0
		var gone []string
		if held[replaced] != nil {
			gone = append(gone, replaced)
		}
		for connection, v := range held {
			switch until, _ := heldValue(v); {
			case connection == h.Connection, connection == replaced:
			case !until.After(now):
				if len(gone) < maxCleared {
					gone = append(gone, connection)
				}
			default:
				live++
			}
		}
		if max > 0 && live >= max || live >= maxHeld {
			return &wire.Error{Code: wire.CodeTooManyTunnels,
				Message: fmt.Sprintf("you have %d tunnels online here, which is the limit: stop one first", live)}
		}
		err = s.writeCount(ctx, h, id, version, held == nil, gone)
		if err == nil {
			return nil
		}
		if !lost(err) {
			return fmt.Errorf("count tunnels: %w", err)
		}
	}
	return fmt.Errorf("count tunnels: %w", ErrConflict)
}

// writeCount changes single entries of the map, so that those that come and go
// meanwhile are not lost; the version keeps two from taking the last place.
func (s *Store) writeCount(ctx context.Context, h Holder, id string, version int64, first bool, gone []string) error {
	end, slack := h.last()
	until := end.Add(slack)
	entry := text(strconv.FormatInt(until.UnixMilli(), 10) + " " + id)
	names := map[string]string{"#held": attrHeld, "#version": attrVersion, "#ttl": keyTTL}
	values := map[string]types.AttributeValue{
		":next": number(version + 1), ":ttl": deadline(s.now().Add(MaxConnectionAge + clockSlack)),
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &s.names.Tunnels, Key: key(ownerPrefix + h.Quota),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}
	if first {
		values[":held"] = &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{h.Connection: entry}}
		in.ConditionExpression = aws.String("attribute_not_exists(#held)")
		in.UpdateExpression = aws.String("SET #held = :held, #version = :next, #ttl = :ttl")
		_, err := s.db.UpdateItem(ctx, in)
		return err
	}
	names["#mine"] = h.Connection
	values[":entry"], values[":version"] = entry, number(version)
	update := "SET #held.#mine = :entry, #version = :next, #ttl = :ttl"
	for n, connection := range gone {
		name := "#gone" + strconv.Itoa(n)
		names[name] = connection
		if n == 0 {
			update += " REMOVE "
		} else {
			update += ", "
		}
		update += "#held." + name
	}
	in.UpdateExpression = &update
	in.ConditionExpression = aws.String("#version = :version")
	_, err := s.db.UpdateItem(ctx, in)
	return err
}

// Uncount notes that a connection holds no tunnel any more. Doing so twice is well.
func (s *Store) Uncount(ctx context.Context, quota, connection string) error {
	if quota == "" {
		return nil
	}
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &s.names.Tunnels,
		Key:                      key(ownerPrefix + quota),
		UpdateExpression:         aws.String("REMOVE #held.#mine"),
		ConditionExpression:      aws.String("attribute_exists(#held.#mine)"),
		ExpressionAttributeNames: map[string]string{"#held": attrHeld, "#mine": connection},
	})
	if err != nil && !lost(err) {
		return fmt.Errorf("uncount tunnel: %w", err)
	}
	return nil
}

func (s *Store) uncount(ctx context.Context, h Holder) error {
	return s.Uncount(ctx, h.Quota, h.Connection)
}
