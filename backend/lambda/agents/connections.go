package agents

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
)

const (
	// maxListed bounds the connections that are listed, of which maxAsked are asked for
	// at once.
	maxListed = 100
	maxAsked  = 20
)

// listed is one connection, as its user sees it.
type listed struct {
	Connection  string `json:"connection_id"`
	Tunnel      string `json:"tunnel_id,omitempty"`
	Agent       string `json:"agent,omitempty"`
	From        string `json:"from"`
	ConnectedAt string `json:"connected_at"`
	LastSeen    string `json:"last_seen,omitempty"`
	This        bool   `json:"this"`
}

// connections lists the connections of who asks. Whoever is nobody sees its own. Those
// that turn out to be gone are removed: their $disconnect was lost.
func (a *Agents) connections(ctx context.Context, r *asking) reply {
	mine := store.UserConnection{
		Connection: r.conn.ID, ConnectedAt: r.conn.ConnectedAt, From: r.conn.From, Tunnel: r.conn.Tunnel, Agent: r.conn.Agent,
	}
	var all []store.UserConnection
	if user := r.conn.User(); user != "" {
		var err error
		if all, err = a.cfg.Store.UserConnections(ctx, user); err != nil {
			return failure(err)
		}
	}
	isMine := func(c store.UserConnection) bool { return c.Connection == mine.Connection }
	if !slices.ContainsFunc(all, isMine) {
		all = append(all, mine)
	}
	more := len(all) > maxListed
	if all = all[:min(len(all), maxListed)]; more && !slices.ContainsFunc(all, isMine) {
		all[maxListed-1] = mine
	}
	seen, gone, err := a.ask(ctx, all, mine.Connection)
	if err == nil {
		err = a.forget(ctx, r.conn.User(), gone)
	}
	if err != nil { // the list is as good as it gets
		a.log.Warn("who has gone is not known, or cannot be removed", "error", err)
	}
	out := struct {
		User        string   `json:"user"`
		Connections []listed `json:"connections"`
		More        bool     `json:"more,omitempty"`
	}{User: auth.UserID(r.conn.User()), More: more}
	for n, c := range all {
		if slices.Contains(gone, c.Connection) {
			continue
		}
		one := listed{
			Connection: c.Connection, Tunnel: c.Tunnel, Agent: c.Agent, From: c.From,
			ConnectedAt: c.ConnectedAt.UTC().Format(time.RFC3339), This: isMine(c),
		}
		if !seen[n].IsZero() {
			one.LastSeen = seen[n].UTC().Format(time.RFC3339)
		}
		out.Connections = append(out.Connections, one)
	}
	return result(out)
}

// ask asks API Gateway for connections, but for those it has said something about lately:
// when each was last active, if that is known, and which have gone. mine is known to be
// there. The error is one of several.
func (a *Agents) ask(ctx context.Context, all []store.UserConnection, mine string) (seen []time.Time, gone []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience.list)
	defer cancel()
	seen = make([]time.Time, len(all))
	failed := make([]error, len(all))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(maxAsked, len(all)) {
		wg.Go(func() {
			for n := range next {
				info, err := a.cfg.Poster.Info(ctx, all[n].Connection)
				seen[n], failed[n] = info.LastActiveAt, err
				if err == nil {
					a.presences.put(all[n].Connection, info.LastActiveAt, a.now())
				}
			}
		})
	}
	for n, c := range all {
		if c.Connection == mine {
			seen[n] = a.now()
			continue
		}
		if active, ok := a.presences.get(c.Connection, a.now()); ok {
			seen[n] = active
			continue
		}
		next <- n
	}
	close(next)
	wg.Wait()
	for n, c := range all {
		switch e := failed[n]; {
		case !errors.Is(e, post.ErrGone):
			err = cmp.Or(err, e)
		case !c.Young(a.now()):
			gone = append(gone, c.Connection)
		}
	}
	return seen, gone, err
}

// forget removes connections of user that have gone. What cannot be removed now is found again
// by whoever asks next.
func (a *Agents) forget(ctx context.Context, user string, gone []string) error {
	ctx, cancel := context.WithTimeout(ctx, a.patience.list)
	defer cancel()
	for _, connection := range gone {
		if err := a.cfg.Store.ForgetOf(ctx, user, connection); err != nil {
			return err
		}
	}
	return nil
}
