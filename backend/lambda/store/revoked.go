package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/auth"
)

// Tokens that do not count any more stand in the connections' table, which every
// connection that opens asks anyway: one item for a token, by its name, and one for all
// of a user's tokens that were issued before some time. No connection's ID has a "#".
const (
	revokedID   = "revoked#id#"
	revokedUser = "revoked#user#"
	attrBefore  = "before" // ms since 1970; without it, all of the user's tokens

	// maxRevokedID bounds the names of tokens that can be revoked, in bytes: a key has
	// at most 2048 (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
	maxRevokedID = 1024
)

// tokenName is the name that the token can be revoked by, "" if it cannot.
func tokenName(i auth.Identity) string {
	if len(i.ID) > maxRevokedID {
		return ""
	}
	return i.ID
}

// Revoked reports whether a token that was verified counts no more. It is one read,
// and consistent: whoever revokes a token means from now on.
func (s *Store) Revoked(ctx context.Context, i auth.Identity) (bool, error) {
	if s.names.Connections == "" {
		return false, ErrNoTable
	}
	keys := []map[string]types.AttributeValue{key(revokedUser + i.Subject)}
	if name := tokenName(i); name != "" {
		keys = append(keys, key(revokedID+name))
	}
	wanted := map[string]types.KeysAndAttributes{s.names.Connections: {Keys: keys, ConsistentRead: aws.Bool(true)}}
	for try := range maxTries {
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return false, fmt.Errorf("look up whether the token was revoked: %w", err)
			}
		}
		out, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: wanted})
		if err != nil {
			return false, fmt.Errorf("look up whether the token was revoked: %w", err)
		}
		for _, raw := range out.Responses[s.names.Connections] {
			if s.revokes(raw, i) {
				return true, nil
			}
		}
		// A batch may be served in part, when there is too much to do.
		if wanted = out.UnprocessedKeys; len(wanted) == 0 {
			return false, nil
		}
	}
	return false, fmt.Errorf("look up whether the token was revoked: %w", ErrConflict)
}

// revokes says whether an item revokes the token.
func (s *Store) revokes(i item, token auth.Identity) bool {
	switch {
	case i.expired(s.now()):
		return false
	case i.text(keyID) == revokedID+token.ID:
		return true
	}
	before := i[attrBefore]
	return before == nil || token.IssuedAt.IsZero() || token.IssuedAt.UnixMilli() < i.number(attrBefore)
}
