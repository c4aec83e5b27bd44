package ui

import (
	"context"
	"errors"
	"time"

	system "github.com/atotto/clipboard"
)

// Clipboard puts text where other programs can paste it.
type Clipboard interface {
	// Write may block until ctx ends.
	Write(ctx context.Context, text string) error
}

// SystemClipboard hands the text to the desktop through a helper program, so that
// it survives this one. Without such a helper Write fails, and the window falls
// back to the toolkit's clipboard.
type SystemClipboard struct{}

// clipboardPatience bounds the wait for a helper program that hangs.
const clipboardPatience = 3 * time.Second

var errClipboardSlow = errors.New("the clipboard's helper program does not answer")

// Write implements Clipboard.
func (SystemClipboard) Write(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, clipboardPatience)
	defer cancel()
	done := make(chan error, 1)
	// The helper cannot be interrupted; one that hangs costs this goroutine, not the window.
	go func() { done <- system.WriteAll(text) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errClipboardSlow
	}
}
