package history

import (
	"time"

	"culvert/app/exchange"
)

const (
	// cleanTime is how long secrets are looked for in one exchange: a hundred times what
	// the longest one needs.
	cleanTime = 5 * time.Second
	// maxCleaning bounds the exchanges in which they are looked for at once. There is
	// more than one only if one has taken too long.
	maxCleaning = 2
)

// clean is x as it may be stored, or nil if it cannot be told in time. What has been
// begun with it ends by itself then, and does not keep the writer from its end.
func (w *writer) clean(x *exchange.Exchange, limits *Limits) *exchange.Exchange {
	timer := time.NewTimer(cleanTime)
	defer timer.Stop()
	select {
	case w.cleaning <- struct{}{}:
	case <-timer.C:
		return nil
	case <-w.ctx.Done():
		return nil
	}
	result := make(chan *exchange.Exchange, 1)
	go func() {
		defer func() { <-w.cleaning }()
		result <- w.prepared(x, limits)
	}()
	select {
	case x := <-result:
		return x
	case <-timer.C:
		w.log.Warn("an exchange is not stored: it takes too long to look for secrets in it", "exchange", x.ID)
		return nil
	case <-w.ctx.Done():
		return nil
	}
}
