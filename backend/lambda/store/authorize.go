package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/auth"
)

// Authorize notes who has turned out to be at the other end of a connection: the bearer
// of a token, or without one the holder of an owner key ("key:…"). ErrConflict: the
// connection is somebody else's, or is not known any more.
func (s *Store) Authorize(ctx context.Context, id string, i auth.Identity, owner string) error {
	if s.names.Connections == "" {
		return ErrNoTable
	}
	who, value := attrUser, i.Subject
	update := "SET #who = :who, #allows = :allows, #max = :max, #expires = :expires, #token = :token, #issued = :issued REMOVE #pending"
	names := map[string]string{"#id": keyID, "#allows": attrAllows, "#max": attrMax, "#expires": attrExpires,
		"#token": attrToken, "#issued": attrIssued, "#pending": attrPending}
	values := map[string]types.AttributeValue{
		":allows": join(i.Tunnels), ":max": number(int64(i.Max)), ":expires": millis(i.Expires),
		":token": text(tokenName(i)), ":issued": millis(i.IssuedAt),
	}
	if i.Subject == "" {
		who, value = attrOwner, owner
		update = "SET #who = :who REMOVE #pending"
		names, values = map[string]string{"#id": keyID, "#pending": attrPending}, map[string]types.AttributeValue{}
	}
	names["#who"], values[":who"] = who, text(value)
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.names.Connections, Key: key(id), UpdateExpression: &update,
		ConditionExpression:      aws.String("attribute_exists(#id) AND (attribute_not_exists(#who) OR #who = :who)"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	if lost(err) {
		return ErrConflict
	}
	if err != nil {
		return fmt.Errorf("note user of connection: %w", err)
	}
	return nil
}

// AuthorizeFailed notes that somebody has tried in vain to show who is at the other end
// of a connection, and gives how often that was. ErrUnknown: the connection is not known
// any more.
func (s *Store) AuthorizeFailed(ctx context.Context, id string) (times int, err error) {
	if s.names.Connections == "" {
		return 0, ErrNoTable
	}
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.names.Connections,
		Key:                       key(id),
		UpdateExpression:          aws.String("ADD #failed :one"),
		ConditionExpression:       aws.String("attribute_exists(#id)"),
		ExpressionAttributeNames:  map[string]string{"#id": keyID, "#failed": attrFailed},
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": number(1)},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if lost(err) {
		return 0, ErrUnknown
	}
	if err != nil {
		return 0, fmt.Errorf("note failure of connection: %w", err)
	}
	return int(item(out.Attributes).number(attrFailed)), nil
}
