package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// UserConnection is one connection of a user, as it stands in the users' table: under
// its owner, so that all of one's connections are found at once. Each has an item of its
// own. So the late end of one never touches another, and those that come and go at the
// same time do not wait for each other.
type UserConnection struct {
	Connection  string
	ConnectedAt time.Time
	From        string // the IP address at its other end

	// Tunnel and Agent are empty until the connection has a tunnel.
	Tunnel, Agent string
	// Notices says whether notices may be sent to it. To a client that has no tunnel
	// they may; an agent says whether it knows them.
	Notices bool
}

var errNoConnection = errors.New("this is no connection's ID")

// Young is the same as of a Connection.
func (c *UserConnection) Young(now time.Time) bool { return young(c.ConnectedAt, now) }

const (
	attrAgent   = "agent"
	attrNotices = "notices"

	// maxUserConnections bounds what is listed of one user's connections, and read of them
	// at once.
	maxUserConnections = 1000
)

// PutUserConnection notes a connection of owner: that it is there, and if it has a
// tunnel, what is at its other end. What was noted before and is not known now stays.
func (s *Store) PutUserConnection(ctx context.Context, owner string, c UserConnection) error {
	if s.names.Users == "" {
		return errNoUsers
	}
	names := map[string]string{"#connected": attrConnected, "#ttl": keyTTL}
	values := map[string]types.AttributeValue{
		":connected": millis(c.ConnectedAt), ":ttl": deadline(c.ConnectedAt.Add(connectionLife)),
	}
	update := "SET #connected = :connected, #ttl = :ttl"
	set := func(name string, v types.AttributeValue) {
		names["#"+name], values[":"+name] = name, v
		update += ", #" + name + " = :" + name
	}
	if c.From != "" {
		set(attrFrom, text(c.From))
	}
	if c.Tunnel != "" {
		set(attrTunnel, text(c.Tunnel))
		set(attrAgent, text(c.Agent))
		set(attrNotices, flag(c.Notices))
	}
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.names.Users, Key: userKey(owner, c.Connection), UpdateExpression: &update,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
	if err != nil {
		return fmt.Errorf("note connection of user: %w", err)
	}
	return nil
}

// UserConnections gives the connections of owner, oldest first; the first thousand that
// are found, if there are more. They may have gone without notice.
func (s *Store) UserConnections(ctx context.Context, owner string) ([]UserConnection, error) {
	var list []UserConnection
	err := s.EachUserConnections(ctx, owner, func(page []UserConnection) error {
		if list = append(list, page...); len(list) >= maxUserConnections {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	slices.SortFunc(list, func(a, b UserConnection) int {
		return cmp.Or(a.ConnectedAt.Compare(b.ConnectedAt), strings.Compare(a.Connection, b.Connection))
	})
	return list[:min(len(list), maxUserConnections)], nil
}

// errEnough ends a listing that is long enough.
var errEnough = errors.New("enough connections")

// EachUserConnections gives all connections of owner, in no order, page by page, of at
// most a thousand each. The first error that page returns ends it, and is returned.
func (s *Store) EachUserConnections(ctx context.Context, owner string, page func([]UserConnection) error) error {
	if s.names.Users == "" {
		return errNoUsers
	}
	in := &dynamodb.QueryInput{
		TableName: &s.names.Users, ConsistentRead: aws.Bool(true), Limit: aws.Int32(maxUserConnections),
		KeyConditionExpression:    aws.String("#id = :id"),
		ExpressionAttributeNames:  map[string]string{"#id": keyID},
		ExpressionAttributeValues: map[string]types.AttributeValue{":id": text(owner)},
	}
	for {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return fmt.Errorf("list connections of user: %w", err)
		}
		var found []UserConnection
		now := s.now()
		for _, raw := range out.Items {
			if i := item(raw); !i.expired(now) {
				found = append(found, userConnectionOf(i))
			}
		}
		if len(found) > 0 {
			if err := page(found); err != nil {
				return err
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(out.LastEvaluatedKey) == 0 {
			return nil
		}
	}
}

func userConnectionOf(i item) UserConnection {
	tunnel := i.text(attrTunnel)
	return UserConnection{
		Connection: i.text(attrConnection), ConnectedAt: i.time(attrConnected), From: i.text(attrFrom),
		Tunnel: tunnel, Agent: i.text(attrAgent), Notices: tunnel == "" || i.flag(attrNotices),
	}
}

// ForgetUserConnection removes a connection of owner. Doing so twice is well.
func (s *Store) ForgetUserConnection(ctx context.Context, owner, connection string) error {
	if s.names.Users == "" {
		return errNoUsers
	}
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.names.Users, Key: userKey(owner, connection)})
	if err != nil {
		return fmt.Errorf("forget connection of user: %w", err)
	}
	return nil
}

// Forget removes a connection that API Gateway knows no more from all tables: its
// $disconnect may never come. Its tunnel is released, if this function was given the
// tunnels' table; otherwise the tunnel's next visitor finds out. Forgetting twice is
// well, and so is forgetting what nobody has ever known.
func (s *Store) Forget(ctx context.Context, connection string) error {
	return s.ForgetOf(ctx, "", connection)
}

// ForgetOf is Forget of a connection that was found under owner: it is taken off that
// list though nothing else is known of it, as when it was noted while it went. owner ""
// says nothing.
func (s *Store) ForgetOf(ctx context.Context, owner, connection string) error {
	if !isConnection(connection) {
		return errNoConnection
	}
	c, err := s.Connection(ctx, connection)
	unknown := errors.Is(err, ErrUnknown)
	if err != nil && !unknown {
		return err
	}
	owners := []string{owner}
	if !unknown {
		owners = append(owners, c.User())
	}
	slices.Sort(owners)
	for _, owner := range slices.Compact(owners) {
		if owner == "" {
			continue
		}
		if err := s.ForgetUserConnection(ctx, owner, connection); err != nil {
			return err
		}
	}
	if unknown {
		return nil
	}
	if c.Tunnel != "" && s.names.Tunnels != "" {
		if _, err := s.Release(ctx, c.Tunnel, connection); err != nil {
			return err
		}
		if err := s.Uncount(ctx, c.Quota, connection); err != nil {
			return err
		}
	}
	// Last, so that whoever tries again after an error finds what is left to do.
	if _, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.names.Connections, Key: key(connection)}); err != nil {
		return fmt.Errorf("forget connection: %w", err)
	}
	return nil
}

func userKey(owner, connection string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{keyID: text(owner), attrConnection: text(connection)}
}
