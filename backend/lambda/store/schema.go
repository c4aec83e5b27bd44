package store

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Schema is how to make the tables, where the stack's template does not: on a local
// DynamoDB. The time to live is by the attribute "ttl" in all of them.
func Schema(names Names) []*dynamodb.CreateTableInput {
	id := types.AttributeDefinition{AttributeName: aws.String(keyID), AttributeType: types.ScalarAttributeTypeS}
	hash := types.KeySchemaElement{AttributeName: aws.String(keyID), KeyType: types.KeyTypeHash}
	plain := func(name string) *dynamodb.CreateTableInput {
		return &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{id}, KeySchema: []types.KeySchemaElement{hash},
		}
	}
	answers := plain(names.Answers)
	answers.AttributeDefinitions = append(answers.AttributeDefinitions,
		types.AttributeDefinition{AttributeName: aws.String(attrPart), AttributeType: types.ScalarAttributeTypeN})
	answers.KeySchema = append(answers.KeySchema,
		types.KeySchemaElement{AttributeName: aws.String(attrPart), KeyType: types.KeyTypeRange})
	return []*dynamodb.CreateTableInput{plain(names.Tunnels), plain(names.Connections), answers}
}
