package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// service stands in for one of AWS's.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	conns    int
	statuses []int // of the first answers
	answer   string
}

func newService(t *testing.T, answer string, statuses ...int) *service {
	s := &service{answer: answer, statuses: statuses}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // one who has not been heard out may not call on the same connection again
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	if n := len(s.requests) - 1; n < len(s.statuses) {
		w.WriteHeader(s.statuses[n])
		return
	}
	_, _ = w.Write([]byte(s.answer))
}

// The tables are reached where the environment says, with the function's own
// credentials, over one connection that is kept, and again when they are busy.
func TestClients(t *testing.T) {
	t.Parallel()
	db := newService(t, `{}`, 500, 500)
	c := NewClients(configOf(t, RolePublic, variables{"AWS_ENDPOINT_URL_DYNAMODB": db.URL}))
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 {
		key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "shop"}}
		if _, err := c.DynamoDB().GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("tunnels"), Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	// Mostly it is one; now and then the transport dials another. One for each request
	// would mean that none is kept.
	if len(db.requests) != 5 || db.conns < 1 || db.conns >= len(db.requests) {
		t.Errorf("%d requests over %d connections", len(db.requests), db.conns)
	}
	for _, r := range db.requests {
		if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth, "/eu-west-1/dynamodb/") ||
			r.Header.Get("X-Amz-Security-Token") != "hush too" || r.ProtoMajor != 1 {
			t.Errorf("%s %v", r.Proto, r.Header)
		}
	}
}

// Without an endpoint of its own, a client is AWS's.
func TestClientsOfAWS(t *testing.T) {
	t.Parallel()
	c := NewClients(configOf(t, RolePublic, nil))
	if o := c.DynamoDB().Options(); o.BaseEndpoint != nil || o.Region != "eu-west-1" {
		t.Errorf("%v %s", o.BaseEndpoint, o.Region)
	}
	if got, err := c.Credentials().Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKID" {
		t.Errorf("%v", err)
	}
}

// An action may take longer than any table does.
func TestPatientClient(t *testing.T) {
	t.Parallel()
	c := NewClients(configOf(t, RoleAgents, nil))
	patient, usual := c.Patient().Transport.(*http.Transport), c.HTTP().Transport.(*http.Transport)
	if patient.ResponseHeaderTimeout != 0 || usual.ResponseHeaderTimeout != answerTimeout || patient.IdleConnTimeout != idleTimeout || !patient.Protocols.HTTP1() || patient.Protocols.HTTP2() {
		t.Errorf("%+v", patient)
	}
}
