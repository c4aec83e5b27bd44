package store

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Schema is how to make the tables, where the stack's template does not: on a local
// DynamoDB. The time to live is by the attribute "ttl" in all of them. Without a name
// for it, there is no users' table.
func Schema(names Names) []*dynamodb.CreateTableInput {
	id := types.AttributeDefinition{AttributeName: aws.String(keyID), AttributeType: types.ScalarAttributeTypeS}
	hash := types.KeySchemaElement{AttributeName: aws.String(keyID), KeyType: types.KeyTypeHash}
	plain := func(name string) *dynamodb.CreateTableInput {
		return &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{id}, KeySchema: []types.KeySchemaElement{hash},
		}
	}
	sorted := func(name, by string, of types.ScalarAttributeType) *dynamodb.CreateTableInput {
		table := plain(name)
		table.AttributeDefinitions = append(table.AttributeDefinitions, types.AttributeDefinition{AttributeName: &by, AttributeType: of})
		table.KeySchema = append(table.KeySchema, types.KeySchemaElement{AttributeName: &by, KeyType: types.KeyTypeRange})
		return table
	}
	tables := []*dynamodb.CreateTableInput{
		plain(names.Tunnels), plain(names.Connections), sorted(names.Answers, attrPart, types.ScalarAttributeTypeN),
	}
	if names.Users != "" {
		tables = append(tables, sorted(names.Users, attrConnection, types.ScalarAttributeTypeS))
	}
	return tables
}
