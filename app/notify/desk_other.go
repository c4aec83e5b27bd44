//go:build windows || darwin

package notify

import "context"

// toolkit shows notifications as the toolkit does, which neither replaces one nor
// tells of clicks.
type toolkit struct{ send func(title, body string) }

func systemDesk(cfg Config) desk { return toolkit{cfg.Send} }

func (t toolkit) show(_ context.Context, n Notification) {
	if t.send != nil {
		t.send(n.Title, n.Body)
	}
}

func (toolkit) withdraw(context.Context, string) {}
func (toolkit) close(context.Context)            {}
