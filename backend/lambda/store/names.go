package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// A name that was asked for stays its owner's for months after its last use, and nobody
// else can have it. So an owner's names are counted, beside the live tunnels: they are a
// set in one item, to which a name is added when it becomes the owner's. It is looked
// through for names that are free again only when it is full.
const (
	namesPrefix = "names#"
	attrNames   = "names"
	// leastNames is how many an owner may keep whatever the limit of live tunnels is, of
	// which it may otherwise keep namesFactor times as many. mostNames bounds the item,
	// to 126 KB.
	leastNames  = 100
	namesFactor = 2
	mostNames   = 2000
	// maxSwept bounds the names that are looked up at once.
	maxSwept = 200
)

// namesFor is how many names an owner may keep who may hold most tunnels; 0: any number.
func namesFor(most int) int {
	if most <= 0 {
		return mostNames
	}
	return min(max(namesFactor*most, leastNames), mostNames)
}

// reserve counts the name id, which becomes quota's. A refusal is a *wire.Error.
func (s *Store) reserve(ctx context.Context, quota, id string, most int) error {
	if quota == "" {
		return nil
	}
	limit := namesFor(most)
	ok, err := s.addName(ctx, quota, id, limit)
	if ok || err != nil {
		return err
	}
	kept, err := s.sweepNames(ctx, quota)
	if err != nil {
		return err
	}
	if ok, err = s.addName(ctx, quota, id, limit); ok || err != nil {
		return err
	}
	example := ""
	if len(kept) > 0 {
		example = fmt.Sprintf(" (such as %q)", kept[0])
	}
	return &wire.Error{Code: wire.CodeTooManyTunnels, Message: fmt.Sprintf(
		"%d tunnel names are kept for you here, which is the limit: use one of them%s, or ask for no name; one is free again %d days after its last use",
		limit, example, int(tunnel.KeepNamed/(24*time.Hour)))}
}

// addName adds a name, and reports whether there was room, or it was there.
func (s *Store) addName(ctx context.Context, quota, id string, limit int) (bool, error) {
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &s.names.Tunnels,
		Key:                      key(namesPrefix + quota),
		UpdateExpression:         aws.String("ADD #names :one SET #ttl = :ttl"),
		ConditionExpression:      aws.String("attribute_not_exists(#names) OR contains(#names, :id) OR size(#names) < :limit"),
		ExpressionAttributeNames: map[string]string{"#names": attrNames, "#ttl": keyTTL},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":one": &types.AttributeValueMemberSS{Value: []string{id}}, ":id": text(id), ":limit": number(int64(limit)),
			":ttl": deadline(s.now().Add(tunnel.KeepNamed + MaxConnectionAge + clockSlack)),
		},
	})
	if lost(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("count names: %w", err)
	}
	return true, nil
}

// sweepNames takes out names that are nobody's by now, or somebody else's, and gives
// those that it found in use, in order.
func (s *Store) sweepNames(ctx context.Context, quota string) (kept []string, err error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.names.Tunnels, Key: key(namesPrefix + quota), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("count names: %w", err)
	}
	set, _ := out.Item[attrNames].(*types.AttributeValueMemberSS)
	if set == nil {
		return nil, nil
	}
	names := set.Value
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	now := s.now()
	var free []string
	for _, id := range names[:min(len(names), maxSwept)] {
		t, err := s.read(ctx, id, true)
		switch {
		case err != nil:
			return nil, err
		case t == nil, t.Expired(now), t.Quota != quota:
			free = append(free, id)
		default:
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	if len(free) == 0 {
		return kept, nil
	}
	_, err = s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.names.Tunnels, Key: key(namesPrefix + quota), UpdateExpression: aws.String("DELETE #names :free"),
		ExpressionAttributeNames:  map[string]string{"#names": attrNames},
		ExpressionAttributeValues: map[string]types.AttributeValue{":free": &types.AttributeValueMemberSS{Value: free}},
	})
	if err != nil {
		return nil, fmt.Errorf("count names: %w", err)
	}
	return kept, nil
}
