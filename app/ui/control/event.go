package control

import (
	"errors"
	"net/url"
	"strings"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/session"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/backend/wire"
)

// OnEvent takes the engine's events. It never waits for the window.
func (c *Control) OnEvent(event engine.Event) {
	switch e := event.(type) {
	case engine.StatusChanged:
		c.store.PutTunnel(shown(e.Tunnel, e.Status))
	case engine.RequestDone:
		c.store.AddRequest(row(e.Tunnel.Key(), name(e.Tunnel), e.Exchange))
	case engine.Dropped:
		c.store.AddNotice("Some requests to " + name(e.Tunnel) + " are missing from the list, because they came faster than it takes them. They were answered as always.")
	case engine.Notice:
		text := model.Sentence(e.Message)
		if e.Tunnel != nil {
			text = name(e.Tunnel) + ": " + text
		}
		c.store.AddNotice(text)
	case engine.Removed:
		c.store.RemoveTunnel(e.Tunnel.Key())
	case engine.BuiltInChanged:
		c.show(e.BuiltIn)
	}
}

// name is what a person calls the tunnel.
func name(t *engine.Tunnel) string {
	spec := t.Spec()
	if spec.Name != "" {
		return spec.Name
	}
	return short(spec)
}

// short is the target without the scheme that nearly all have.
func short(spec engine.Spec) string {
	if spec.Target.Scheme == "http" {
		return spec.Target.Address()
	}
	return spec.Target.String()
}

func shown(t *engine.Tunnel, s session.Status) model.Tunnel {
	m := model.Tunnel{
		Key: t.Key(), Name: name(t), Detail: s.Established.TunnelID, State: state(s.State),
		Since: s.Since, Attempt: s.Attempt, NextTry: s.NextTry, URL: webURL(s.Established.PublicURL),
	}
	if u, err := url.Parse(s.Established.SubdomainURL); err == nil && strings.HasSuffix(u.Hostname(), ".localhost") {
		m.Browse = webURL(s.Established.SubdomainURL)
	}
	if spec := t.Spec(); spec.Name != "" {
		m.Detail = short(spec)
	}
	if s.Cause != nil {
		m.Cause = s.Cause.Error()
	}
	return m
}

// webURL is a backend's URL if it is one that a browser may open and a person may
// paste anywhere, else "".
func webURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || look.Clean(text) != text {
		return ""
	}
	return text
}

func state(s session.State) model.State {
	switch s {
	case session.Connecting:
		return model.Connecting
	case session.Online:
		return model.Online
	case session.Reconnecting:
		return model.Reconnecting
	case session.Refused:
		return model.Refused
	default:
		return model.Stopped
	}
}

func row(tunnel, name string, x *capture.Exchange) *model.Request {
	r := &model.Request{
		Tunnel: tunnel, Name: name, Time: x.Start, Method: x.Method, Path: x.Path, Status: x.Status,
		Duration: x.Duration, Size: x.BytesOut, Visitor: x.RemoteAddr,
	}
	if x.Err != nil {
		r.Err, r.Detail = explain(x.Err)
		var reset *wire.ResetError
		r.NoTarget = errors.As(x.Err, &reset) && reset.Code == wire.ResetUnavailable
	}
	return r
}

// explain divides an error into what is meant for people and what the system said,
// which the forwarder appends in brackets.
func explain(err error) (plain, detail string) {
	var reset *wire.ResetError
	if !errors.As(err, &reset) || reset.Message == "" {
		return err.Error(), ""
	}
	if rest, ok := strings.CutPrefix(err.Error(), reset.Message+" ("); ok {
		// A name has several addresses, and each fails in a line of its own.
		detail = strings.ReplaceAll(strings.TrimSuffix(rest, ")"), "\n", "; ")
	}
	return reset.Message, detail
}
