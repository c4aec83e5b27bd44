package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"culvert/app/engine"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/share"
	"culvert/app/ui/model"
	"culvert/app/version"
)

// pageSize is how many rows of the history come at a time.
const pageSize = 200

// maxExport bounds what is put into one archive, in bytes of headers and bodies: it is
// made in memory.
const maxExport = 256 << 20

var errTooLarge = errors.New("these requests are too many for one file: narrow the list with the filter")

// Exchange is the whole of a row: so far, while it is open.
func (c *Control) Exchange(ctx context.Context, r *model.Request) (*exchange.Exchange, error) {
	if r.Open {
		if l := c.live.get(r.Exchange); l != nil {
			return l.exchange(), nil
		}
	}
	if x := c.store.Exchange(r.ID); x != nil {
		return x, nil
	}
	return c.Recall(ctx, r.Exchange)
}

// Recall finds an exchange in the history.
func (c *Control) Recall(ctx context.Context, id string) (*exchange.Exchange, error) {
	if x := c.store.ExchangeByID(id); x != nil {
		return x, nil
	}
	if l := c.live.get(id); l != nil {
		return l.exchange(), nil // newer than what the history has of it
	}
	h, err := c.past.opened(ctx)
	if err != nil {
		return nil, fmt.Errorf("the request is no longer in memory, and %w", err)
	}
	return h.Get(ctx, id)
}

// imported begins the IDs of exchanges that were read from files.
const imported = "imported-"

// Replay sends a request to the local service of the tunnel through which x came. The
// error is a *model.ReplayQuestion if x was read from a file.
func (c *Control) Replay(ctx context.Context, x *exchange.Exchange, r model.Replay) error {
	t := c.tunnelOf(x)
	if t == nil {
		return fmt.Errorf("there is no tunnel to %s any more: open one, and try again", x.Target)
	}
	again, err := engine.ReplayOf(x)
	switch {
	case err != nil && (r.Method == "" || again.Method == ""):
		return err // what is missing has not been made good for by hand, or cannot be
	case r.Method != "":
		again.Method, again.Path, again.Header, again.Body = r.Method, r.Path, r.Header, r.Body
	}
	if strings.HasPrefix(x.ID, imported) {
		return &model.ReplayQuestion{
			Method: again.Method, Path: path(again.Path), Tunnel: title(t), Service: x.Target,
			Agree: func(ctx context.Context) error { return t.Replay(ctx, again) },
		}
	}
	return t.Replay(ctx, again)
}

// tunnelOf is the tunnel through which an exchange came, or else one that leads to the
// same service.
func (c *Control) tunnelOf(x *exchange.Exchange) (best *engine.Tunnel) {
	for _, t := range c.engine.Tunnels() {
		if spec := t.Spec(); spec.Target.String() == x.Target {
			if spec.Title() == x.Tunnel {
				return t
			}
			best = t
		}
	}
	return best
}

// Search finds rows in the history.
func (c *Control) Search(ctx context.Context, f model.Filter, before int64) (model.Page, error) {
	h, err := c.past.opened(ctx)
	if err != nil {
		return model.Page{}, err
	}
	q := history.Query{
		Text: f.Text, Method: f.Method, StatusClass: f.Class, MinDuration: f.Least, Before: before, Limit: pageSize,
	}
	keys := map[string]string{}
	for _, t := range c.engine.Tunnels() {
		keys[title(t)] = t.Key()
		if t.Key() == f.Tunnel {
			q.Tunnel = title(t)
		}
	}
	found, err := h.Search(ctx, q)
	page := model.Page{Next: found.Next}
	for i := range found.Rows {
		page.Rows = append(page.Rows, foundRow(keys[found.Rows[i].Tunnel], &found.Rows[i]))
	}
	return page, err
}

// Clear removes what is kept of all requests. Of those that go on only what comes later
// will be kept.
func (c *Control) Clear(ctx context.Context) error {
	c.keeping.Lock()
	c.live.forget()
	c.store.ClearRequests("")
	c.keeping.Unlock()
	h, err := c.past.opened(ctx)
	if errors.Is(err, errNoHistory) {
		return c.past.clear(ctx)
	}
	if err != nil {
		return err
	}
	return h.Clear(ctx)
}

// Export writes the exchanges of rows as HAR, the oldest first.
func (c *Control) Export(ctx context.Context, rows []*model.Request, secrets bool) ([]byte, error) {
	var all []*exchange.Exchange
	size := int64(0)
	for i := len(rows) - 1; i >= 0; i-- {
		x, err := c.Exchange(ctx, rows[i])
		if errors.Is(err, history.ErrNotFound) {
			continue // it has left between being seen and being saved
		}
		if err != nil {
			return nil, err
		}
		if size += exchange.Weight(x); size > maxExport {
			return nil, errTooLarge
		}
		all = append(all, x)
	}
	if len(all) == 0 {
		return nil, errors.New("there is nothing to save: the list is empty")
	}
	var b bytes.Buffer
	err := share.WriteHAR(&b, all, share.Options{Secrets: secrets, Version: version.Number})
	return b.Bytes(), err
}

// Import reads an HTTP archive into the log.
func (c *Control) Import(_ context.Context, file []byte) (int, error) {
	all, err := share.ReadHAR(bytes.NewReader(file))
	if len(all) == 0 {
		if err == nil {
			err = errors.New("there are no requests in this file")
		}
		return 0, err
	}
	for _, x := range all[max(0, len(all)-model.Capacity):] {
		x.ID = imported + rand.Text()
		r := row("", x)
		c.store.AddRequest(r)
		c.store.KeepExchange(r.ID, x)
	}
	return len(all), err
}
