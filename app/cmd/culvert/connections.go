package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"culvert/app/link"
	"culvert/app/plain"
	"culvert/app/version"
	"culvert/backend/wire"
)

type connectionsCmd struct {
	backendFlags
	JSON bool `name:"json" help:"Print one JSON object per connection on stdout."`
}

// Help is shown below the summary.
func (*connectionsCmd) Help() string {
	return `Examples:

    culvert connections
    culvert connections --backend https://tunnel.example.com --token-file token
    culvert connections --json | jq -r 'select(.tunnel_id).tunnel_id'

Yours are those of your token's user or, where no tokens are needed, of this installation's owner key. The one that asks is among them, with a mark. At most 100 are listed, oldest first.

JSON objects have connection_id, from, connected_at and this (whether it is the one that asks) and, where they are known, tunnel_id, agent and last_seen.

Exit codes: 0 listed, or stopped by a signal; 1 failed; 2 called wrongly; 3 refused by the backend.`
}

// listTimeout bounds all that is asked of the backend.
const listTimeout = 45 * time.Second

// connectionList is the result of the action connections.
type connectionList struct {
	User        string       `json:"user"`
	Connections []connection `json:"connections"`
	More        bool         `json:"more"` // than are listed
}

// connection is one of the user's, as the backend tells it.
type connection struct {
	ConnectionID string     `json:"connection_id"`
	TunnelID     string     `json:"tunnel_id,omitempty"`
	Agent        string     `json:"agent,omitempty"`
	From         string     `json:"from"`
	ConnectedAt  time.Time  `json:"connected_at"`
	LastSeen     *time.Time `json:"last_seen,omitempty"`
	This         bool       `json:"this"`
}

// Run asks the backend and prints the list.
func (c *connectionsCmd) Run(out *output) error {
	a, err := c.open(out)
	if err == nil && a.backend == nil {
		err = usageError{errors.New("no backend is configured: name one with --backend, or a profile in " + a.dir.ConfigFile())}
	}
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	// Progress is no part of the list.
	view := &checkView{out: out.stderr, live: !c.JSON && isTerminal(out.stdout) && isTerminal(out.stderr)}
	if err := view.progress("asking " + a.backend.Host); err != nil {
		return err
	}
	list, err := listConnections(ctx, &link.Config{
		Backend: a.backend, Token: a.token, RootCAs: a.roots, Owner: a.owner, Agent: version.Agent(),
	})
	_ = view.print("")
	switch {
	case context.Cause(ctx) == errSignal:
		return nil
	case err != nil:
		return inFlags(err, a.backend, a.token)
	case c.JSON:
		for _, one := range list.Connections {
			if err := writeObject(out.stdout, one); err != nil {
				return err
			}
		}
		if list.More {
			fmt.Fprintf(out.stderr, "culvert connections: notice: there are more than these %d\n", len(list.Connections))
		}
		return nil
	}
	return printConnections(out.stdout, list)
}

// listConnections asks for the caller's connections.
func listConnections(ctx context.Context, cfg *link.Config) (list connectionList, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	client, err := cfg.DialClient(ctx)
	if err != nil {
		return list, err
	}
	defer client.Close()
	result, err := client.Ask(ctx, "connections", nil)
	var refused *wire.ActionError
	switch {
	case errors.As(err, &refused) && refused.Code == wire.CodeNotImplemented:
		return list, errors.New("this backend cannot list connections: update it")
	case errors.As(err, &refused):
		return list, &wire.Error{Code: refused.Code, Message: refused.Message}
	case err != nil:
		return list, err
	}
	if json.Unmarshal(result, &list) != nil {
		return connectionList{}, errors.New("the backend's list of connections makes no sense: update Culvert or the backend")
	}
	return list, nil
}

// maxCell is how much of what somebody else has chosen is shown in a column.
const maxCell = 48

func printConnections(w io.Writer, list connectionList) error {
	cell := func(s string) string {
		if s = strings.TrimSpace(plain.Line(s)); s == "" {
			return "–"
		}
		return plain.Cut(s, maxCell)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tTUNNEL\tFROM\tCONNECTED\tLAST SEEN\tAGENT\tCONNECTION")
	for _, c := range list.Connections {
		mark := ""
		if c.This {
			mark = "*"
		}
		seen := ""
		if c.LastSeen != nil {
			seen = moment(*c.LastSeen)
		}
		fmt.Fprintln(table, strings.Join([]string{mark, cell(c.TunnelID), cell(c.From), moment(c.ConnectedAt), cell(seen), cell(c.Agent), cell(c.ConnectionID)}, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	text := "\n* this command's own"
	if list.User != "" {
		text = "\nThe connections of " + cell(list.User) + ". * this command's own"
	}
	if list.More {
		text += fmt.Sprintf("\nThere are more than these %d.", len(list.Connections))
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format(time.DateTime)
}
