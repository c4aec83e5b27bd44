package cards

import (
	"math"
	"time"

	"culvert/app/ui/model"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// state is a tunnel that a card must be able to show, with a name for its picture.
type state struct {
	name   string
	tunnel model.Tunnel
}

func light(s model.LightState, rtt time.Duration) model.Light {
	return model.Light{State: s, RTT: rtt, At: now.Add(-90 * time.Second)}
}

func allUp() model.Lights {
	return model.Lights{Service: light(model.LightUp, time.Millisecond), Link: light(model.LightUp, 38*time.Millisecond),
		URL: light(model.LightUp, 81*time.Millisecond)}
}

// traffic is a rate that goes up and down as real ones do.
func traffic() []float32 {
	rate := make([]float32, model.RateBuckets)
	for i := range rate {
		x := float64(i)
		rate[i] = float32(math.Round(8 + 6*math.Sin(x/5) + 4*math.Sin(x/1.7) + x/8))
	}
	return rate
}

// states are all that a card can look like.
func states() []state {
	online := model.Tunnel{Key: "shop", Name: "shop", Detail: "localhost:5173", Target: "localhost:5173", Framework: "vite",
		State: model.Online, Since: now.Add(-12 * time.Minute), URL: "https://shop.tunnel.example.com", Public: true,
		Lights: allUp(), Requests: 1284, Rate: traffic(), P50: 9 * time.Millisecond, P95: 41 * time.Millisecond}
	with := func(name string, change func(t *model.Tunnel)) state {
		t := online
		t.Key = name
		change(&t)
		return state{name, t}
	}
	reconnecting := func(t *model.Tunnel) {
		t.Name, t.Target, t.Framework, t.URL = "api", "localhost:8000", "python", "https://api.tunnel.example.com"
		t.State, t.Attempt, t.NextTry, t.Cause = model.Reconnecting, 3, now.Add(4*time.Second), "the network is unreachable"
		t.Lights.Link = model.Light{State: model.LightDown, At: now, Cause: t.Cause}
		t.Lights.URL = light(model.LightWaits, 0)
	}
	return []state{
		with("online", func(*model.Tunnel) {}),
		with("reconnecting", reconnecting),
		with("stopped", func(t *model.Tunnel) {
			t.Name, t.Target, t.Framework, t.Folder, t.State = "docs", "~/site", "", true, model.Stopped
		}),
		with("connecting", func(t *model.Tunnel) {
			t.State, t.URL, t.Requests, t.Rate, t.P50, t.P95 = model.Connecting, "", 0, nil, 0, 0
			t.Lights = model.Lights{Service: light(model.LightUp, 0), Link: light(model.LightChecking, 0), URL: light(model.LightUnknown, 0)}
		}),
		with("fresh", func(t *model.Tunnel) {
			t.Since, t.Requests, t.Rate, t.P50, t.P95 = now, 0, nil, 0, 0
			t.Lights.URL.State = model.LightChecking
		}),
		with("local", func(t *model.Tunnel) {
			t.Name, t.Target, t.Framework, t.URL, t.Public = "localhost:3000", "localhost:3000", "", "http://127.0.0.1:22850/hyhbpez1a7jy", false
			t.Requests, t.P50, t.P95 = 1, 2*time.Millisecond, 2*time.Millisecond
		}),
		with("never-online", func(t *model.Tunnel) {
			reconnecting(t)
			t.URL, t.Attempt, t.NextTry, t.Requests, t.Rate = "", 12, now, 0, nil
			t.Cause = "tunnel.example.com does not answer: no such host. Check the backend's address, or that this computer is online"
		}),
		with("service-down", func(t *model.Tunnel) {
			t.Lights.Service = model.Light{State: model.LightDown, At: now, Cause: "nothing is listening on localhost:5173: start the service"}
		}),
		with("url-down", func(t *model.Tunnel) {
			t.Lights.URL = model.Light{State: model.LightDown, At: now, Cause: "the name shop.tunnel.example.com is not known: add a wildcard DNS record"}
		}),
		with("hazard", func(t *model.Tunnel) {
			t.Name, t.Target, t.Framework = "db", "localhost:5432", "postgres"
			t.Hazard = "PostgreSQL: whoever reaches it can read and change the data"
		}),
		with("refused", func(t *model.Tunnel) {
			t.State, t.Cause = model.Refused, "the token expired on 1 January: make a new one and put it into the backend's settings"
			t.Lights = model.Lights{}
		}),
		with("token-refused", func(t *model.Tunnel) {
			t.State, t.Cause, t.TokenRefused, t.Profile = model.Refused, "the token has expired: put a new one into the settings of the backend", true, "work"
			t.Lights = model.Lights{}
		}),
		with("long", func(t *model.Tunnel) {
			t.Name, t.Target, t.Framework = "a-name-of-which-nobody-can-say-that-it-is-short", "staging.internal.example.com:8443", "spring boot"
			t.URL = "https://a-name-of-which-nobody-can-say-that-it-is-short.tunnel.example.com"
			t.Requests, t.P50, t.P95 = 12345678, 14500*time.Millisecond, 61*time.Second
			t.Since = now.Add(-49 * time.Hour)
		}),
	}
}
