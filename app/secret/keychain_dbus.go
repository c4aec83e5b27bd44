//go:build !windows && !darwin

package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// The names of the Secret Service API, which GNOME, KDE and KeePassXC offer.
// https://specifications.freedesktop.org/secret-service-spec/latest/
const (
	busName         = "org.freedesktop.secrets"
	servicePath     = dbus.ObjectPath("/org/freedesktop/secrets")
	serviceIface    = "org.freedesktop.Secret.Service"
	collectionIface = "org.freedesktop.Secret.Collection"
	itemIface       = "org.freedesktop.Secret.Item"
	sessionIface    = "org.freedesktop.Secret.Session"
	promptIface     = "org.freedesktop.Secret.Prompt"
	nowhere         = dbus.ObjectPath("/") // what stands for no object
)

// answerLimit is how long the service may take to answer, without asking a person.
const answerLimit = 5 * time.Second

// errDeclined: the person said no, or closed the question.
var errDeclined = errors.New("its question was declined: unlock it to use the token")

// systemKeychain is what the desktop offers over D-Bus. It is not go-keyring's
// client, because that one cannot be told to end: a question that nobody answers
// would keep it for ever, on the bus connection that it shares with the toolkit.
func systemKeychain() keychain { return secretService{} }

type secretService struct{ address string } // of the bus; "" for the session's

// secretOf is a secret on its way: (oayays).
type secretOf struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func (s secretService) Present(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.collection()
	return err
}

func (s secretService) Get(ctx context.Context, account string) (string, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return "", err
	}
	defer c.close()
	unlocked, locked, err := c.search(account)
	if err != nil {
		return "", err
	}
	item := nowhere
	switch {
	case len(unlocked) > 0:
		item = unlocked[0]
	case len(locked) > 0:
		item = locked[0]
		if err := c.unlock(item); err != nil {
			return "", err
		}
	default:
		return "", ErrNotFound
	}
	session, err := c.session()
	if err != nil {
		return "", err
	}
	var got secretOf
	if err := c.call(item, itemIface+".GetSecret", session).Store(&got); err != nil {
		return "", explained(err)
	}
	return string(got.Value), nil
}

func (s secretService) Set(ctx context.Context, account, label, secret string) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	collection, err := c.collection()
	if err != nil {
		return err
	}
	if err := c.unlock(collection); err != nil {
		return err
	}
	session, err := c.session()
	if err != nil {
		return err
	}
	properties := map[string]dbus.Variant{
		itemIface + ".Label":      dbus.MakeVariant(label),
		itemIface + ".Attributes": dbus.MakeVariant(attributes(account)),
	}
	var item, prompt dbus.ObjectPath
	const replace = true
	err = c.call(collection, collectionIface+".CreateItem", properties,
		secretOf{session, []byte{}, []byte(secret), "text/plain; charset=utf8"}, replace).Store(&item, &prompt)
	if err != nil {
		return explained(err)
	}
	return c.ask(prompt)
}

func (s secretService) Delete(ctx context.Context, account string) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	unlocked, locked, err := c.search(account)
	if err != nil {
		return err
	}
	for _, item := range append(unlocked, locked...) {
		var prompt dbus.ObjectPath
		if err := c.call(item, itemIface+".Delete").Store(&prompt); err != nil {
			return explained(err)
		}
		if err := c.ask(prompt); err != nil {
			return err
		}
	}
	return nil
}

// attributes are what an entry is found by; the names are those of go-keyring.
func attributes(account string) map[string]string {
	return map[string]string{"service": service, "username": account}
}

// client is one connection to the service.
type client struct {
	ctx  context.Context
	conn *dbus.Conn
}

// connect finds the bus, or errAbsent. None is started for it.
func (s secretService) connect(ctx context.Context) (*client, error) {
	dial := dbus.SessionBusPrivateNoAutoStartup
	if s.address != "" {
		dial = func(opts ...dbus.ConnOption) (*dbus.Conn, error) { return dbus.Dial(s.address, opts...) }
	}
	conn, err := dial()
	if err != nil {
		return nil, errAbsent
	}
	c := &client{ctx, conn}
	// While it greets, the library looks at no context.
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	silent := time.AfterFunc(answerLimit, c.close)
	defer silent.Stop()
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		c.close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errAbsent
	}
	return c, nil
}

func (c *client) close() { _ = c.conn.Close() }

// call calls a method of an object of the service, which the bus starts if need be.
func (c *client) call(on dbus.ObjectPath, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(c.ctx, answerLimit)
	defer cancel()
	return c.conn.Object(busName, on).CallWithContext(ctx, method, 0, args...)
}

// collection is where new secrets go.
func (c *client) collection() (dbus.ObjectPath, error) {
	var path dbus.ObjectPath
	if err := c.call(servicePath, serviceIface+".ReadAlias", "default").Store(&path); err != nil {
		return "", explained(err)
	}
	if path == nowhere {
		return "", fmt.Errorf("%w: it has no default collection", errAbsent)
	}
	return path, nil
}

func (c *client) session() (dbus.ObjectPath, error) {
	var (
		output dbus.Variant
		path   dbus.ObjectPath
	)
	// The secret goes over the user's own bus only. It ends with the connection.
	err := c.call(servicePath, serviceIface+".OpenSession", "plain", dbus.MakeVariant("")).Store(&output, &path)
	return path, explained(err)
}

func (c *client) search(account string) (unlocked, locked []dbus.ObjectPath, err error) {
	err = c.call(servicePath, serviceIface+".SearchItems", attributes(account)).Store(&unlocked, &locked)
	return unlocked, locked, explained(err)
}

func (c *client) unlock(what dbus.ObjectPath) error {
	var (
		unlocked []dbus.ObjectPath
		prompt   dbus.ObjectPath
	)
	if err := c.call(servicePath, serviceIface+".Unlock", []dbus.ObjectPath{what}).Store(&unlocked, &prompt); err != nil {
		return explained(err)
	}
	return c.ask(prompt)
}

// ask shows the service's question to the person, if there is one, and waits for the
// answer as long as the context allows. Then it takes the question away.
func (c *client) ask(prompt dbus.ObjectPath) error {
	if prompt == nowhere {
		return nil
	}
	signals := make(chan *dbus.Signal, 8)
	c.conn.Signal(signals)
	defer c.conn.RemoveSignal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchObjectPath(prompt), dbus.WithMatchInterface(promptIface)},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, busName)},
	} {
		if err := c.conn.AddMatchSignalContext(c.ctx, match...); err != nil {
			return explained(err)
		}
	}
	defer func() {
		if c.ctx.Err() != nil {
			c.conn.Object(busName, prompt).Go(promptIface+".Dismiss", dbus.FlagNoReplyExpected, nil)
		}
	}()
	if err := c.call(prompt, promptIface+".Prompt", "").Err; err != nil {
		return explained(err)
	}
	for {
		select {
		case s := <-signals:
			switch {
			case s == nil:
				return errors.New("the session bus is gone")
			case s.Name == "org.freedesktop.DBus.NameOwnerChanged":
				return errors.New("it ended while it asked: try again")
			case s.Path == prompt && s.Name == promptIface+".Completed":
				if dismissed, ok := first(s.Body).(bool); !ok || dismissed {
					return errDeclined
				}
				return nil
			}
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

func first(body []any) any {
	if len(body) == 0 {
		return nil
	}
	return body[0]
}

// explained makes of a service that is not there errAbsent.
func explained(err error) error {
	var answer dbus.Error
	if !errors.As(err, &answer) {
		return err
	}
	for _, absent := range []string{"ServiceUnknown", "NameHasNoOwner", "Spawn."} {
		if strings.HasPrefix(answer.Name, "org.freedesktop.DBus.Error."+absent) {
			return errAbsent
		}
	}
	return err
}
