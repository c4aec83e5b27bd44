package meter

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/runtime"
	ssmlocal "culvert/backend/awslocal/ssm"
)

const token = "session token"

// callers knows one function.
func callers(accessKeyID string) (runtime.Credentials, bool) {
	return runtime.Credentials{SessionToken: token}, accessKeyID == runtime.AccessKeyID("agents")
}

func login(function, token string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(runtime.AccessKeyID(function), "secret", token)
}

func client(endpoint string, who aws.CredentialsProvider) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: who, RetryMaxAttempts: 1})
}

// front is a meter before a DynamoDB with a table.
func front(t *testing.T) (m *Meter, endpoint, table string) {
	t.Helper()
	behind := dynamolocal.Test(t)
	table = dynamolocal.Table("meter")
	_, err := client(behind, credentials.NewStaticCredentialsProvider("test", "secret", "")).CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	})
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	m = New()
	server := httptest.NewServer(m.DynamoDB(DynamoDB{
		Upstream: upstream, AccessKeyID: "test", Region: "us-east-1", Account: "123456789012", Callers: callers, Client: http.DefaultClient,
	}))
	t.Cleanup(server.Close)
	return m, server.URL, table
}

func item(id string, size int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"id": &types.AttributeValueMemberS{Value: id}, "x": &types.AttributeValueMemberS{Value: strings.Repeat("x", size)},
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	m, endpoint, table := front(t)
	db, ctx := client(endpoint, login("agents", token)), t.Context()
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}}
	for _, step := range []struct {
		name        string
		do          func() error
		read, write float64
	}{
		{"put 3 KB", func() error {
			_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item("a", 2500)})
			return err
		}, 0, 3},
		{"get", func() error {
			_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key})
			return err
		}, 0.5, 0},
		{"get consistently", func() error {
			_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
			return err
		}, 1, 0},
		{"a condition that is not met", func() error {
			_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item("a", 1), ConditionExpression: aws.String("attribute_not_exists(id)")})
			if !errors.As(err, new(*types.ConditionalCheckFailedException)) {
				return err
			}
			return nil
		}, 0, 1},
		{"one whose item is shown", func() error {
			_, err := db.PutItem(ctx, &dynamodb.PutItemInput{
				TableName: &table, Item: item("a", 1), ConditionExpression: aws.String("attribute_not_exists(id)"),
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			})
			if !errors.As(err, new(*types.ConditionalCheckFailedException)) {
				return err
			}
			return nil
		}, 0, 3},
		{"an error", func() error {
			if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("nowhere"), Item: item("a", 1)}); err == nil {
				return errors.New("no error")
			}
			return nil
		}, 0, 0},
		{"a caller who counts himself", func() error {
			out, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
			if err == nil && (out.ConsumedCapacity == nil || out.ConsumedCapacity.Table == nil) {
				return errors.New("no detail")
			}
			return err
		}, 0.5, 0},
		{"a batch", func() error {
			_, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				table: {Keys: []map[string]types.AttributeValue{key}},
			}})
			return err
		}, 0.5, 0},
	} {
		before := m.Usage()
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		used := m.Usage().Sub(before)
		if used.ReadUnits != step.read || used.WriteUnits != step.write {
			t.Errorf("%s: %v read and %v write units, want %v and %v", step.name, used.ReadUnits, used.WriteUnits, step.read, step.write)
		}
	}
	arn := "arn:aws:dynamodb:us-east-1:123456789012:table/"
	want := []Call{
		{"agents", "dynamodb:BatchGetItem", arn + table}, {"agents", "dynamodb:GetItem", arn + table},
		{"agents", "dynamodb:PutItem", arn + "nowhere"}, {"agents", "dynamodb:PutItem", arn + table},
	}
	if diff := cmp.Diff(want, m.Calls()); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	m, endpoint, table := front(t)
	get := &dynamodb.GetItemInput{TableName: &table, Key: item("a", 0)}
	delete(get.Key, "x")
	for name, who := range map[string]aws.CredentialsProvider{
		"another function": login("public", token),
		"a wrong token":    login("agents", "guess"),
		"no token":         login("agents", ""),
		"an unknown key":   credentials.NewStaticCredentialsProvider("test", "secret", ""),
	} {
		var failed smithy.APIError
		if _, err := client(endpoint, who).GetItem(t.Context(), get); !errors.As(err, &failed) || failed.ErrorCode() != "UnrecognizedClientException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m.Usage() != (Usage{}) || len(m.Calls()) != 0 {
		t.Errorf("counted %+v, %v", m.Usage(), m.Calls())
	}
	var failed smithy.APIError
	if _, err := client(endpoint, login("agents", token)).ListTables(t.Context(), &dynamodb.ListTablesInput{}); !errors.As(err, &failed) || failed.ErrorCode() != "AccessDeniedException" {
		t.Errorf("a function that lists tables: %v", err)
	}
}

func TestParameterStore(t *testing.T) {
	t.Parallel()
	m, store := New(), ssmlocal.New("us-east-1", "123456789012")
	if err := store.Set("/culvert/keys", "secret"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(m.ParameterStore(store, "us-east-1", "123456789012", callers))
	t.Cleanup(server.Close)
	get := func(who aws.CredentialsProvider) error {
		c := ssm.New(ssm.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: who, RetryMaxAttempts: 1})
		out, err := c.GetParameter(context.Background(), &ssm.GetParameterInput{Name: aws.String("/culvert/keys"), WithDecryption: aws.Bool(true)})
		if err == nil && *out.Parameter.Value != "secret" {
			return errors.New("another value")
		}
		return err
	}
	if err := get(login("agents", token)); err != nil {
		t.Error(err)
	}
	if err := get(login("agents", "guess")); err == nil {
		t.Error("a stranger reads the keys")
	}
	if diff := cmp.Diff([]Call{{"agents", "ssm:GetParameter", "arn:aws:ssm:us-east-1:123456789012:parameter/culvert/keys"}}, m.Calls()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := m.Usage().Parameters; got != 1 {
		t.Errorf("%d calls", got)
	}
}

func FuzzMetered(f *testing.F) {
	f.Add([]byte(`{"TableName":"t","ReturnConsumedCapacity":"NONE"}`))
	f.Add([]byte(`{"RequestItems":{"t":{}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		again, _, err := metered(body)
		if err != nil {
			return
		}
		if _, _, err := metered(again); err != nil {
			t.Errorf("%q became %q: %v", body, again, err)
		}
	})
}
