package control

import (
	"net/url"
	"strings"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/plain"
	"culvert/app/session"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// OnEvent takes the engine's events. It never waits for the window.
func (c *Control) OnEvent(event engine.Event) {
	switch e := event.(type) {
	case engine.StatusChanged:
		shown := c.shown(e.Tunnel, e.Status)
		c.store.PutTunnel(shown)
		c.cfg.Notices.Status(shown)
		if shown.State == model.Online {
			select {
			case c.online <- struct{}{}:
			default:
			}
		}
	case engine.Probed:
		status := e.Tunnel.Status()
		c.store.ChangeTunnel(e.Tunnel.Key(), func(t *model.Tunnel) { t.Lights = lights(e.Tunnel, e.Lights, status) })
	case engine.Edited:
		c.store.PutTunnel(c.shown(e.Tunnel, e.Tunnel.Status()))
	case engine.StreamOpened:
		c.began(e.Tunnel, e.Stream)
	case engine.RequestDone:
		c.done(e.Tunnel, e.Exchange)
	case engine.Dropped:
		c.sweep()
		c.store.AddNotice(words.T("Some requests to %s are missing from the list, because they came faster than it takes them. They were answered as always.", title(e.Tunnel)))
	case engine.Notice:
		c.notice(e)
	case engine.NoticeReceived:
		c.received(e)
	case engine.Removed:
		c.live.remove(e.Tunnel.Key())
		c.store.RemoveTunnel(e.Tunnel.Key())
		c.cfg.Notices.Removed(e.Tunnel.Key())
	case engine.BuiltInChanged:
		c.show(e.BuiltIn)
	}
}

func (c *Control) notice(e engine.Notice) {
	text := model.Sentence(e.Message)
	if e.Tunnel != nil {
		c.cfg.Notices.Message(title(e.Tunnel), text)
		text = title(e.Tunnel) + ": " + text
	}
	c.store.AddNotice(text)
}

// done puts a finished exchange into the log and into the history.
func (c *Control) done(t *engine.Tunnel, finished *capture.Exchange) {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	x := engine.Exchange(t, finished)
	r := row(t.Key(), x)
	if began := c.live.take(x.ID); began != nil {
		r.ID = began.row.ID
		c.store.EndRequest(r)
	} else {
		c.store.AddRequest(r)
		c.cfg.Notices.Request(t.Key(), x.Tunnel, r)
	}
	c.store.KeepExchange(r.ID, x)
	c.past.add(x)
}

// Retell tells the window of all tunnels anew, in the language that is spoken now.
func (c *Control) Retell() {
	for _, t := range c.engine.Tunnels() {
		shown := c.shown(t, t.Status())
		c.store.ChangeTunnel(shown.Key, func(m *model.Tunnel) { m.Cause, m.Hazard, m.Lights = shown.Cause, shown.Hazard, shown.Lights })
	}
	c.show(c.engine.BuiltIn())
}

func title(t *engine.Tunnel) string {
	spec := t.Spec()
	return spec.Title()
}

// browse is an address with a host of its own that only browsers on this computer
// resolve (RFC 6761, 6.3), or "".
func browse(text string) string {
	if u, err := url.Parse(text); err == nil && strings.HasSuffix(u.Hostname(), ".localhost") {
		return webURL(text)
	}
	return ""
}

// webURL is a backend's URL if it is one that a browser may open and a person may
// paste anywhere, else "".
func webURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || plain.Line(text) != text {
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
