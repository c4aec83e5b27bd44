package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/runtime"
)

// The naive design, as the system that Culvert replaces works: the waiting function
// stores a pending request, posts it to the agent and polls every 50 ms, less and less
// often; the agent's answer is written into the pending item, which the waiting
// function deletes at last. Answers belong to nobody: any agent can give any.
const (
	naiveConnections = "naive-connections"
	naivePending     = "naive-pending"

	firstPoll   = 50 * time.Millisecond
	mostPoll    = 500 * time.Millisecond
	pollBackoff = 1.5

	// maxNaiveBody is what fits a message of 128 KB after base64.
	maxNaiveBody = 94 << 10
)

func naiveTables() []*dynamodb.CreateTableInput {
	var tables []*dynamodb.CreateTableInput
	for _, t := range []struct{ name, key string }{{naiveConnections, "tunnel_id"}, {naivePending, "request_id"}} {
		tables = append(tables, &dynamodb.CreateTableInput{
			TableName: aws.String(t.name), BillingMode: types.BillingModePayPerRequest,
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(t.key), KeyType: types.KeyTypeHash}},
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(t.key), AttributeType: types.ScalarAttributeTypeS}},
		})
	}
	return tables
}

func naiveFunctions() map[awslocal.Role]runtime.Factory {
	factory := func(handle func(*naive, context.Context, []byte) ([]byte, error)) runtime.Factory {
		return func(_ context.Context, env map[string]string) (runtime.Handler, error) {
			n := newNaive(env)
			return runtime.Bytes(func(ctx context.Context, payload []byte) ([]byte, error) { return handle(n, ctx, payload) }), nil
		}
	}
	return map[awslocal.Role]runtime.Factory{
		awslocal.Agents: factory((*naive).agents),
		awslocal.Public: factory((*naive).public),
	}
}

// naive is an environment of either function.
type naive struct {
	db    *dynamodb.Client
	posts *apigatewaymanagementapi.Client
	base  string
}

func newNaive(env map[string]string) *naive {
	login := credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"])
	return &naive{
		db:    dynamodb.New(dynamodb.Options{Region: env["AWS_REGION"], Credentials: login, BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL_DYNAMODB"])}),
		posts: apigatewaymanagementapi.New(apigatewaymanagementapi.Options{Region: env["AWS_REGION"], Credentials: login, BaseEndpoint: aws.String(env["CULVERT_AGENTS_API"])}),
		base:  env["CULVERT_PUBLIC_URL"],
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func textOf(v types.AttributeValue) string {
	s, _ := v.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func (n *naive) post(ctx context.Context, connection string, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = n.posts.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &connection, Data: data})
	return err
}

// agents serves the agents' WebSocket API.
func (n *naive) agents(ctx context.Context, payload []byte) ([]byte, error) {
	var event struct {
		RequestContext struct{ ConnectionID, RouteKey string }
		Body           string
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	done := []byte(`{"statusCode":200}`)
	if event.RequestContext.RouteKey != "$default" {
		return done, nil
	}
	var message struct {
		Type      string `json:"type"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(event.Body), &message); err != nil {
		return nil, err
	}
	connection := event.RequestContext.ConnectionID
	switch message.Type {
	case "ready":
		tunnel := strings.ToLower(rand.Text()[:12])
		if _, err := n.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(naiveConnections), Item: map[string]types.AttributeValue{
			"tunnel_id": text(tunnel), "connection_id": text(connection),
		}}); err != nil {
			return nil, err
		}
		url := n.base + "/" + tunnel
		return done, n.post(ctx, connection, map[string]string{
			"type": "connection_established", "connection_id": connection, "tunnel_id": tunnel, "public_url": url, "path_based_url": url,
		})
	case "http_response", "error":
		_, err := n.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: aws.String(naivePending), Key: map[string]types.AttributeValue{"request_id": text(message.RequestID)},
			UpdateExpression:          aws.String("SET answer = :answer, #s = :done"),
			ExpressionAttributeNames:  map[string]string{"#s": "status"},
			ExpressionAttributeValues: map[string]types.AttributeValue{":answer": text(event.Body), ":done": text("completed")},
		})
		return done, err
	}
	return done, nil
}

// public serves the visitors' HTTP API.
func (n *naive) public(ctx context.Context, payload []byte) ([]byte, error) {
	var event struct {
		RawPath, RawQueryString string
		Headers                 map[string]string
		Body                    string
		IsBase64Encoded         bool
		RequestContext          struct{ HTTP struct{ Method string } }
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	tunnel, rest, _ := strings.Cut(strings.TrimPrefix(event.RawPath, "/"), "/")
	found, err := n.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(naiveConnections), Key: map[string]types.AttributeValue{"tunnel_id": text(tunnel)}})
	if err != nil {
		return nil, err
	}
	if found.Item == nil {
		return json.Marshal(map[string]any{"statusCode": http.StatusNotFound})
	}
	id := rand.Text()
	headers := map[string][]string{}
	for name, value := range event.Headers {
		headers[name] = []string{value}
	}
	body := event.Body
	if !event.IsBase64Encoded {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	if _, err := n.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(naivePending), Item: map[string]types.AttributeValue{
		"request_id": text(id), "connection_id": found.Item["connection_id"], "status": text("pending"),
		"created_at": text(time.Now().UTC().Format(time.RFC3339)),
	}}); err != nil {
		return nil, err
	}
	if err := n.post(ctx, textOf(found.Item["connection_id"]), map[string]any{
		"type": "http_request", "request_id": id, "method": event.RequestContext.HTTP.Method, "uri": "/" + rest,
		"headers": headers, "body": body, "timestamp": time.Now().UnixMilli(),
	}); err != nil {
		return nil, err
	}
	answer, err := n.poll(ctx, id)
	if err != nil {
		return nil, err
	}
	if _, err := n.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(naivePending), Key: map[string]types.AttributeValue{"request_id": text(id)}}); err != nil {
		return nil, err
	}
	return answer, nil
}

// poll waits for the answer.
func (n *naive) poll(ctx context.Context, id string) ([]byte, error) {
	for pause := firstPoll; ; pause = min(time.Duration(float64(pause)*pollBackoff), mostPoll) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		got, err := n.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(naivePending), Key: map[string]types.AttributeValue{"request_id": text(id)}})
		if err != nil {
			return nil, err
		}
		if got.Item == nil {
			return nil, errors.New("the pending request is gone")
		}
		if textOf(got.Item["status"]) != "completed" {
			continue
		}
		var answer struct {
			StatusCode int                 `json:"status_code"`
			Headers    map[string][]string `json:"headers"`
			Body       string              `json:"body"`
			Message    string              `json:"message"`
		}
		if err := json.Unmarshal([]byte(textOf(got.Item["answer"])), &answer); err != nil {
			return nil, err
		}
		if answer.StatusCode == 0 {
			return nil, fmt.Errorf("the agent answers with an error: %s", answer.Message)
		}
		headers := map[string]string{}
		for name, values := range answer.Headers {
			headers[name] = strings.Join(values, ",")
		}
		return json.Marshal(map[string]any{"statusCode": answer.StatusCode, "headers": headers, "body": answer.Body, "isBase64Encoded": true})
	}
}
