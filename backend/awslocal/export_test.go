package awslocal

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"culvert/backend/lambda/store"
)

// What has to be as in the template.
const (
	RouteSelection            = routeSelection
	ConnectRate, ConnectBurst = connectRate, connectBurst
)

// ActionRoutes are the agents' API's routes with a RouteResponse.
func ActionRoutes() []string { return actionRoutes() }

// KillDatabase ends DynamoDB Local as a crash would.
func KillDatabase(l *Local) { l.killDatabase() }

// KillQueues ends ElasticMQ as a crash would.
func KillQueues(l *Local) { l.killQueues() }

// asAgents are the credentials of the agents' function.
func asAgents(l *Local) aws.CredentialsProvider {
	c := l.functions[Agents].Credentials()
	return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

// Parameters is the account's Parameter Store, and the name under which the keys are there.
func Parameters(l *Local) (client *ssm.Client, name string) {
	return ssm.New(ssm.Options{Region: region, BaseEndpoint: aws.String(l.urls.parameters), Credentials: asAgents(l), HTTPClient: onceClient()}), l.parameter()
}

// Tables are the account's.
func Tables(l *Local) (*store.Store, error) {
	client, names := Database(l)
	return store.New(store.Config{Client: client, Names: names})
}

// Database has them.
func Database(l *Local) (*dynamodb.Client, store.Names) {
	return dynamodb.New(dynamodb.Options{
		Region: region, BaseEndpoint: aws.String(l.urls.dynamodb), Credentials: asAgents(l), HTTPClient: onceClient(),
	}), tableNames(l.cfg.Name)
}

// WaitersURL is what functions that wait dial, and ManagementURLs are where functions
// post: to waiters and to agents.
func WaitersURL(l *Local) string { return l.urls.waiters }

// ManagementURLs are of the waiters' and of the agents' API.
func ManagementURLs(l *Local) (waiters, agents string) {
	return strings.TrimSuffix(l.urls.waitersAPI, "/"), strings.TrimSuffix(l.urls.agentsAPI, "/")
}
