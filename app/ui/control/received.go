package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"

	"culvert/app/engine"
	"culvert/app/session"
	"culvert/app/ui/model"
	"culvert/app/ui/received"
	"culvert/app/ui/words"
	"culvert/backend/auth"
)

// noticesFile is the list of notices in the config folder.
const noticesFile = "notices.json"

// openInbox reads the notices that were kept. That they cannot be is said in the window.
func (c *Control) openInbox() {
	box, err := received.Open(filepath.Join(c.cfg.Dir.Path(), noticesFile), func(err error) {
		c.cfg.Logger.Warn("the notices are not kept", "error", err)
		c.store.AddNotice(words.T("The notices are not kept over a restart.") + " " + model.Sentence(err.Error()))
	})
	if err != nil {
		c.cfg.Logger.Warn("the notices that were kept", "error", err)
		c.store.AddNotice(model.Sentence(err.Error()))
	}
	c.inbox = box
	c.store.SetReceived(box.List())
}

// received takes a notice that somebody has sent to the user.
func (c *Control) received(e engine.NoticeReceived) {
	n := model.Received{ID: e.ID, At: e.At, Title: e.Title, Text: e.Text, Data: e.Data}
	if e.Tunnel != nil {
		n.Tunnel = title(e.Tunnel)
	}
	c.changeInbox(func() {
		if kept, added := c.inbox.Add(n); added {
			c.cfg.Notices.Received(kept)
		}
	})
}

// changeInbox shows what has become of the list, of several changes the last one last.
func (c *Control) changeInbox(change func()) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	change()
	c.store.SetReceived(c.inbox.List())
}

// ReadNotice marks a notice as read, and "" all of them.
func (c *Control) ReadNotice(id string) {
	c.changeInbox(func() { c.inbox.Read(id) })
	c.cfg.Notices.Seen()
}

// ClearNotices removes all of them.
func (c *Control) ClearNotices() {
	c.changeInbox(c.inbox.Clear)
	c.cfg.Notices.Seen()
}

// NoticeWay is how a notice can be sent to this user.
func (c *Control) NoticeWay(ctx context.Context) model.NoticeWay {
	var way model.NoticeWay
	for _, t := range c.engine.Tunnels() {
		spec := t.Spec()
		if t.Status().State != session.Online || spec.Backend == nil {
			continue // the built-in relay takes none: its user is this program alone
		}
		if spec.Backend.Scheme != "http" && spec.Backend.Scheme != "https" {
			way.Queue = true
			way.User, way.Token = c.user(spec.Token), spec.Token != ""
			continue
		}
		base := *spec.Backend
		base.Path, base.RawQuery = "/_culvert/notify/user", ""
		p := c.Config().Profiles[spec.Profile]
		return model.NoticeWay{
			URL: base.String(), User: c.user(spec.Token), Token: spec.Token != "", TokenFile: p.TokenFile, CAFile: p.CAFile,
		}
	}
	return way
}

// user is who this installation is to a backend: by its token, else by its owner key.
func (c *Control) user(token string) string {
	if token == "" {
		key, err := c.cfg.Dir.OwnerKey()
		if err != nil {
			return ""
		}
		return auth.UserID("key:" + key.Public())
	}
	// The backend has looked at the signature; here the name alone is wanted.
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	var named struct {
		Subject string `json:"sub"`
	}
	if err != nil || json.Unmarshal(claims, &named) != nil {
		return ""
	}
	return named.Subject
}
