package awslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/sqslocal"
	"culvert/backend/awslocal/sqssource"
)

// Queues are the URLs of the queues for notices, as the SQS server knows them.
type Queues struct {
	// User and Connection take notices for all connections of a user, and for one.
	User, Connection string
	// UserDead and ConnectionDead have what failed too often.
	UserDead, ConnectionDead string
}

// What the template says of its queues.
const (
	maxReceives    = 5
	visibility     = 6 * 30 * time.Second // six times what the function may take
	maxVisibility  = 12 * time.Hour       // SQS's own bound
	maxQueued      = 64 << 10             // bytes of a message
	deadRetention  = 14 * 24 * time.Hour
	mappingBatches = 2 // at work at once, of each queue
)

func userQueue(stack string) string       { return stack + "-notify-user" }
func connectionQueue(stack string) string { return stack + "-notify-connection" }
func deadQueue(queue string) string       { return queue + "-dead" }

func queueARN(queue string) string { return meter.QueueARN(region, account, queue) }

// makeSQS sees to the queues, and to a server for them.
func (l *Local) makeSQS(ctx context.Context) (err error) {
	if l.cfg.LocalSQS {
		l.say("starting ElasticMQ")
		server, err := sqslocal.Start(ctx, sqslocal.Config{Output: l.cfg.Output, Region: region, Account: account})
		if err != nil {
			return err
		}
		l.killQueues = server.Kill
		l.watch(server.Process)
		if l.cfg.SQS, err = url.Parse(server.Endpoint()); err != nil {
			return err
		}
	}
	if l.cfg.SQS == nil {
		return nil
	}
	l.queues, err = makeQueues(ctx, l.cfg.SQS, l.cfg.Name, l.cfg.Visibility)
	return err
}

// makeQueues makes the queues that are not there yet.
func makeQueues(ctx context.Context, endpoint *url.URL, stack string, visibility time.Duration) (q Queues, err error) {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	if err := reach(ctx, "SQS", endpoint, ErrNoSQS); err != nil {
		return q, err
	}
	c := sqs.New(sqs.Options{
		Region: region, BaseEndpoint: aws.String(endpoint.String()), HTTPClient: onceClient(),
		Credentials: credentials.NewStaticCredentialsProvider("culvert", "none", ""),
	})
	for _, queue := range []struct {
		name      string
		url, dead *string
	}{{userQueue(stack), &q.User, &q.UserDead}, {connectionQueue(stack), &q.Connection, &q.ConnectionDead}} {
		if *queue.dead, *queue.url, err = makeQueue(ctx, c, queue.name, visibility); err != nil {
			return q, fmt.Errorf("making the queue %s at %s: %w", queue.name, endpoint.Redacted(), err)
		}
	}
	return q, nil
}

// makeQueue makes a queue and its dead-letter queue, unless they are there.
func makeQueue(ctx context.Context, c *sqs.Client, name string, visibility time.Duration) (dead, queue string, err error) {
	dead, err = ensureQueue(ctx, c, deadQueue(name), map[string]string{"MessageRetentionPeriod": seconds(deadRetention)})
	if err != nil {
		return "", "", err
	}
	arn := types.QueueAttributeNameQueueArn // which the server makes as it likes
	about, err := c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &dead, AttributeNames: []types.QueueAttributeName{arn}})
	if err != nil {
		return "", "", err
	}
	redrive, err := json.Marshal(map[string]any{"deadLetterTargetArn": about.Attributes[string(arn)], "maxReceiveCount": maxReceives})
	if err != nil {
		return "", "", err
	}
	queue, err = ensureQueue(ctx, c, name, map[string]string{
		"VisibilityTimeout": seconds(visibility), "MaximumMessageSize": strconv.Itoa(maxQueued), "RedrivePolicy": string(redrive),
	})
	return dead, queue, err
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// ensureQueue returns the URL of a queue. One that is there is taken as it is.
func ensureQueue(ctx context.Context, c *sqs.Client, name string, attributes map[string]string) (string, error) {
	got, err := c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err == nil {
		return aws.ToString(got.QueueUrl), nil
	}
	if missing := (*types.QueueDoesNotExist)(nil); !errors.As(err, &missing) {
		return "", err
	}
	made, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: maps.Clone(attributes)})
	if err != nil {
		return "", err
	}
	return aws.ToString(made.QueueUrl), nil
}

// mapQueues has the function for notices do what comes in the queues, until Close.
func (l *Local) mapQueues(who roles) error {
	if l.functions[Notices] == nil {
		return nil
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * mappingBatches}
	as := who.credentials[Notices]
	client := sqs.New(sqs.Options{
		Region: region, BaseEndpoint: &l.urls.sqs, HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(as.AccessKeyID, as.SecretAccessKey, as.SessionToken),
	})
	var sources []*sqssource.Source
	for _, queue := range []struct{ name, url string }{
		{userQueue(l.cfg.Name), l.queues.User}, {connectionQueue(l.cfg.Name), l.queues.Connection},
	} {
		s, err := sqssource.New(sqssource.Config{
			Queue: client, URL: queue.url, ARN: queueARN(queue.name), Region: region, Function: l.front(Notices),
			Pollers: mappingBatches, ReportBatchItemFailures: true,
			Log: func(err error) {
				l.cfg.Log.Warn("a queue's messages were not brought to the function", "queue", queue.name, "error", err)
			},
		})
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, s := range sources {
		running.Go(func() { s.Run(ctx) })
	}
	l.onClose(func() {
		cancel()
		running.Wait()
		transport.CloseIdleConnections()
	})
	return nil
}
