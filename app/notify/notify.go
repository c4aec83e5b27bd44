// Package notify shows desktop notifications: a new one replaces the old one about
// the same thing, none of them makes the program wait, and a desktop that shows none
// is no error.
package notify

// Notification is one. Its texts are plain: no markup.
type Notification struct {
	// Key is what it is about: a new one with the same key replaces the old one.
	Key         string
	Title, Body string
	Actions     []Action
	// OnClick is called, by a goroutine of the Notifier, when it is clicked; may be nil.
	OnClick func()
}

// Action is a button, where the desktop has them.
type Action struct {
	Title string
	Do    func()
}

// Config says what a Notifier shows with.
type Config struct {
	// App is the program's name, Icon its icon's name or path, and DesktopEntry the
	// name of its .desktop file without the ending; all may be "".
	App, Icon, DesktopEntry string
	// Send shows a notification where there is no D-Bus: the toolkit's way. It may
	// block. nil shows none there.
	Send func(title, body string)
}

// Notifier shows notifications until Close.
type Notifier struct{ cfg Config }

// New starts a notifier.
func New(cfg Config) *Notifier { return &Notifier{cfg: cfg} }

// Show shows n soon, without waiting for it.
func (n *Notifier) Show(note Notification) {}

// Withdraw takes away what is shown under a key.
func (n *Notifier) Withdraw(key string) {}

// Close takes the notifications away and waits for the notifier's goroutines.
func (n *Notifier) Close() {}
