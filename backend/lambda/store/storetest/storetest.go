// Package storetest gives tests a Store on a real DynamoDB, the local one.
package storetest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/lambda/store"
)

// Client is a client of the DynamoDB Local that the process's tests share.
func Client(t testing.TB) *dynamodb.Client {
	t.Helper()
	endpoint := dynamolocal.Test(t)
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// Tables makes a test its own, empty tables.
func Tables(t testing.TB, client *dynamodb.Client) store.Names {
	t.Helper()
	names := store.Names{
		Tunnels: dynamolocal.Table("tunnels"), Connections: dynamolocal.Table("connections"), Answers: dynamolocal.Table("answers"),
		Users: dynamolocal.Table("users"),
	}
	for _, table := range store.Schema(names) {
		if _, err := client.CreateTable(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// New is a Store on tables of its own.
func New(t testing.TB) *store.Store {
	t.Helper()
	client := Client(t)
	s, err := store.New(store.Config{Client: client, Names: Tables(t, client)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
