package awslocal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"culvert/backend/lambda/store"
)

// setupTime bounds making tables and bucket.
const setupTime = 30 * time.Second

// reachTime bounds a look whether a server is there.
const reachTime = 5 * time.Second

func tableNames(stack string) store.Names {
	return store.Names{Tunnels: stack + "-tunnels", Connections: stack + "-connections", Users: stack + "-users", Answers: stack + "-answers"}
}

// makeTables makes the tables that are not there yet.
func makeTables(ctx context.Context, endpoint *url.URL, accessKeyID, stack string, more []*dynamodb.CreateTableInput) error {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	db := dynamodb.New(dynamodb.Options{
		Region: region, BaseEndpoint: aws.String(endpoint.String()), HTTPClient: onceClient(),
		Credentials: credentials.NewStaticCredentialsProvider(accessKeyID, "none", ""),
	})
	for _, table := range append(store.Schema(tableNames(stack)), more...) {
		_, err := db.CreateTable(ctx, table)
		var exists *dynamotypes.ResourceInUseException
		if errors.As(err, &exists) {
			continue
		}
		if err != nil {
			return fmt.Errorf("making the table %s at %s: %w", *table.TableName, endpoint.Redacted(), err)
		}
		_, err = db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName:               table.TableName,
			TimeToLiveSpecification: &dynamotypes.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)},
		})
		if err != nil {
			return fmt.Errorf("having the table %s forget: %w", *table.TableName, err)
		}
	}
	return nil
}

// ErrNoS3 and ErrNoSQS: nothing answers where Config.S3 or Config.SQS says.
var (
	ErrNoS3  = errors.New("nothing answers there")
	ErrNoSQS = errors.New("nothing answers there")
)

// reach sees that somebody listens at the endpoint of a service. The SDK would try again
// for a while, and then say a lot.
func reach(ctx context.Context, service string, endpoint *url.URL, nobody error) error {
	address := endpoint.Host
	if endpoint.Port() == "" {
		address = net.JoinHostPort(endpoint.Hostname(), endpoint.Scheme)
	}
	dialer := net.Dialer{Timeout: reachTime}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s at %s: %w (%v)", service, endpoint.Redacted(), nobody, err)
	}
	return conn.Close()
}

// makeBucket makes the bucket unless it is there.
func makeBucket(ctx context.Context, endpoint *url.URL, name string) error {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	if err := reach(ctx, "S3", endpoint, ErrNoS3); err != nil {
		return err
	}
	c := s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(endpoint.String()), UsePathStyle: true, HTTPClient: onceClient(),
		Credentials: credentials.NewStaticCredentialsProvider("culvert", "none", ""),
	})
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	var owned *s3types.BucketAlreadyOwnedByYou
	var exists *s3types.BucketAlreadyExists
	if err != nil && !errors.As(err, &owned) && !errors.As(err, &exists) {
		return fmt.Errorf("making the bucket %s at %s: %w", name, endpoint.Redacted(), err)
	}
	return nil
}

// onceClient keeps no connection after a call.
func onceClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}
