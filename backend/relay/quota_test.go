package relay

import (
	"context"
	"testing"
	"time"

	"culvert/backend/auth"
	"culvert/backend/tunnel"
)

// Connections that are dead do not count for the limit of tunnels; living ones do.
func TestDeadTunnelsDoNotCount(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Limits.ProbeTimeout = 2 * time.Second
		c.Authenticate = func(context.Context, string) (auth.Identity, error) {
			return auth.Identity{Subject: "ann", Max: 2}, nil
		}
	})
	dead := r.claim(tunnel.OwnerKey{}, nil) // nobody reads: no pong
	living := r.claim(tunnel.OwnerKey{}, nil)
	living.serve(t, "living")
	third := r.claim(tunnel.OwnerKey{}, nil)
	if third.hello["tunnel_id"] == nil {
		t.Fatalf("got %v", third.hello)
	}
	third.serve(t, "third")
	if got := r.claim(tunnel.OwnerKey{}, nil); got.code() != "too_many_tunnels" {
		t.Errorf("past two that live: %v", got.hello)
	}
	for id, want := range map[any]string{living.hello["tunnel_id"]: "living", third.hello["tunnel_id"]: "third"} {
		if _, body := r.get("/" + id.(string) + "/"); body != want {
			t.Errorf("visitors get %q, want %q", body, want)
		}
	}
	if status := r.status(dead.hello["tunnel_id"].(string)); status != "offline" {
		t.Errorf("the dead one is %s", status)
	}
	if code := readClose(t, dead.Conn); code != closeGoingAway {
		t.Errorf("its connection ends with %d", code)
	}
}
