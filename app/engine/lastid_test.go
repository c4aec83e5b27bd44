package engine

import (
	"context"
	"errors"
	"testing"

	"culvert/app/link"
	"culvert/app/session"
	"culvert/backend/wire"

	"github.com/google/go-cmp/cmp"
)

// The ID of another time is asked for until it is not to be had, and never in place of
// one that the session knows.
func TestLastIDIsAskedFor(t *testing.T) {
	t.Parallel()
	var asked []string
	answers := map[string]error{}
	dial := dialFunc(func(_ context.Context, h link.Hello) (session.Link, error) {
		asked = append(asked, h.TunnelID)
		return nil, answers[h.TunnelID]
	})
	l := &leg{}
	l.wire(dial)
	last := "abc123"
	l.lastID.Store(&last)
	connect := func(id string, want error, ids ...string) {
		t.Helper()
		asked = nil
		if _, err := l.connect(t.Context(), link.Hello{TunnelID: id}); !errors.Is(err, want) {
			t.Errorf("the error is %v, want %v", err, want)
		}
		if diff := cmp.Diff(ids, asked); diff != "" {
			t.Errorf("asked for (-want +got):\n%s", diff)
		}
	}
	connect("", nil, "abc123")
	connect("known", nil, "known")
	away := errors.New("no network")
	answers["abc123"] = away
	connect("", away, "abc123") // it may be to be had the next time
	answers["abc123"] = &wire.Error{Code: wire.CodeNameTaken, Message: "somebody else's"}
	connect("", nil, "abc123", "")
	connect("", nil, "")
}
