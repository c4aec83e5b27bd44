package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"culvert/backend/auth"
	"culvert/backend/wire"
)

// Connection is an agent's connection: who is at its other end. It is written when
// it opens and when it gets its tunnel, and never for a request.
type Connection struct {
	ID       string
	Identity auth.Identity
	// Host is the Host field of the handshake, From the agent's IP address.
	Host, From  string
	ConnectedAt time.Time
	// Pending says that nobody has shown yet who is there. Until then the connection
	// may do nothing else.
	Pending bool
	// Owner is the holder of an owner key ("key:…") who has shown it, where there are
	// no tokens.
	Owner string
	// Failed is how often somebody has tried in vain to show who is there.
	Failed int

	// The rest is empty until it has a tunnel.
	Tunnel       string
	Quota        string // what the tunnel is counted by
	Agent        string // what the agent says it is
	Declared     bool
	Capabilities []wire.Capability
	// Ponged is when it last answered a ping of ours.
	Ponged time.Time
}

// Times that connections are judged by.
const (
	// leeway is how long a token counts after its end, for clocks that differ.
	leeway = 30 * time.Second
	// youth is how long a connection is not known to API Gateway though it is noted here:
	// until $connect has returned, which has 29 s
	// (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html).
	youth = 30 * time.Second
)

// Ends is when the token of the connection counts no more; zero if it always does.
func (c *Connection) Ends() time.Time {
	if c.Identity.Expires.IsZero() {
		return time.Time{}
	}
	return c.Identity.Expires.Add(leeway)
}

// Expired reports whether the token of the connection counts no more.
func (c *Connection) Expired(now time.Time) bool { return over(c.Ends(), now) }

func over(end, now time.Time) bool { return !end.IsZero() && now.After(end) }

// Young reports whether the connection may be about to open: that API Gateway does not
// know it says nothing then.
func (c *Connection) Young(now time.Time) bool { return young(c.ConnectedAt, now) }

func young(connected, now time.Time) bool { return now.Sub(connected) <= youth }

// User is whose connection it is: the owner of its tunnels, or "" if nobody knows.
func (c *Connection) User() string {
	if owner := c.Identity.Owner(); owner != "" {
		return owner
	}
	return c.Owner
}

// TakesNotices says whether notices may be sent to it: see UserConnection.
func (c *Connection) TakesNotices() bool {
	return !c.Pending && (c.Tunnel == "" || slices.Contains(c.Capabilities, wire.CapNotices))
}

const (
	attrUser    = "user"
	attrAllows  = "allows"
	attrMax     = "max"
	attrExpires = "expires"
	attrToken   = "jti" // the token's name
	attrIssued  = "iat" // when the token was issued
	attrPending = "pending"
	attrFailed  = "failed"
	attrHost    = "host"
	attrFrom    = "from"
	attrTunnel  = "tunnel"
	attrPonged  = "ponged"
)

// connectionLife: none lives longer than 2 hours; its last messages may be late.
const connectionLife = MaxConnectionAge + 10*time.Minute

// PutConnection notes a connection that opens.
func (s *Store) PutConnection(ctx context.Context, c Connection) error {
	if s.names.Connections == "" {
		return ErrNoTable
	}
	i := item{keyID: text(c.ID), attrConnected: millis(c.ConnectedAt), keyTTL: deadline(c.ConnectedAt.Add(connectionLife))}.
		set(attrUser, text(c.Identity.Subject)).set(attrAllows, join(c.Identity.Tunnels)).
		set(attrToken, text(tokenName(c.Identity))).set(attrHost, text(c.Host)).set(attrFrom, text(c.From)).set(attrPending, flag(c.Pending))
	if !c.Identity.Expires.IsZero() {
		i[attrExpires] = millis(c.Identity.Expires)
	}
	if !c.Identity.IssuedAt.IsZero() {
		i[attrIssued] = millis(c.Identity.IssuedAt)
	}
	if c.Identity.Max > 0 {
		i[attrMax] = number(int64(c.Identity.Max))
	}
	if _, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.names.Connections, Item: i}); err != nil {
		return fmt.Errorf("note connection: %w", err)
	}
	return nil
}

// isConnection reports whether it may be a connection's ID. The table holds other items
// too, such as who revoked what: theirs have a "#", which a connection's has not. IDs come
// from outside with notices.
func isConnection(id string) bool { return id != "" && !strings.Contains(id, "#") }

// Connection finds a connection, consistently; ErrUnknown if there is none.
func (s *Store) Connection(ctx context.Context, id string) (*Connection, error) {
	if s.names.Connections == "" {
		return nil, ErrNoTable
	}
	if !isConnection(id) {
		return nil, ErrUnknown
	}
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.names.Connections, Key: key(id), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("look connection up: %w", err)
	}
	i := item(out.Item)
	if len(i) == 0 || i.expired(s.now()) {
		return nil, ErrUnknown
	}
	return &Connection{
		ID: id, Host: i.text(attrHost), From: i.text(attrFrom), ConnectedAt: i.time(attrConnected),
		Identity: auth.Identity{
			Subject: i.text(attrUser), Tunnels: list[string](i, attrAllows), Max: int(i.number(attrMax)), Expires: i.time(attrExpires),
			ID: i.text(attrToken), IssuedAt: i.time(attrIssued),
		},
		Pending: i.flag(attrPending), Owner: i.text(attrOwner), Failed: int(i.number(attrFailed)),
		Tunnel: i.text(attrTunnel), Quota: i.text(attrQuota), Declared: i.flag(attrDeclared), Agent: i.text(attrAgent),
		Capabilities: list[wire.Capability](i, attrCaps), Ponged: i.time(attrPonged),
	}, nil
}

// Agent is who is at the other end of a connection that gets a tunnel.
type Agent struct {
	// Owner is the owner key that it has shown ("key:…"), "" if there is a token, or
	// nothing.
	Owner string
	Name  string // what it says it is
}

// Attach notes which tunnel a connection has got. ErrConflict: it has one already,
// is another owner's, or is not known any more.
func (s *Store) Attach(ctx context.Context, tunnel string, h Holder, a Agent) error {
	if s.names.Connections == "" {
		return ErrNoTable
	}
	in := &dynamodb.UpdateItemInput{
		TableName:           &s.names.Connections,
		Key:                 key(h.Connection),
		UpdateExpression:    aws.String("SET #tunnel = :tunnel, #quota = :quota, #declared = :declared, #caps = :caps, #agent = :agent"),
		ConditionExpression: aws.String("attribute_exists(#id) AND attribute_not_exists(#tunnel)"),
		ExpressionAttributeNames: map[string]string{
			"#id": keyID, "#tunnel": attrTunnel, "#quota": attrQuota, "#declared": attrDeclared, "#caps": attrCaps, "#agent": attrAgent,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":tunnel": text(tunnel), ":quota": text(h.Quota), ":declared": flag(h.Declared), ":caps": join(h.Capabilities), ":agent": text(a.Name),
		},
	}
	if a.Owner != "" {
		*in.UpdateExpression += ", #owner = :owner"
		*in.ConditionExpression += " AND (attribute_not_exists(#owner) OR #owner = :owner)"
		in.ExpressionAttributeNames["#owner"], in.ExpressionAttributeValues[":owner"] = attrOwner, text(a.Owner)
	}
	_, err := s.db.UpdateItem(ctx, in)
	if lost(err) {
		return ErrConflict
	}
	if err != nil {
		return fmt.Errorf("note tunnel %s of connection: %w", tunnel, err)
	}
	return nil
}

// Ponged notes that a connection has answered a ping.
func (s *Store) Ponged(ctx context.Context, id string) error {
	if s.names.Connections == "" {
		return ErrNoTable
	}
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.names.Connections,
		Key:                       key(id),
		UpdateExpression:          aws.String("SET #ponged = :now"),
		ConditionExpression:       aws.String("attribute_exists(#id)"), // or it would come to life again
		ExpressionAttributeNames:  map[string]string{"#id": keyID, "#ponged": attrPonged},
		ExpressionAttributeValues: map[string]types.AttributeValue{":now": millis(s.now())},
	})
	if lost(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note pong of connection: %w", err)
	}
	return nil
}
