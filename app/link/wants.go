package link

import (
	"errors"
	"strings"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// ErrWantsToken is told to who typed a command without a token that it takes one.
var ErrWantsToken = &wire.Error{Code: wire.CodeUnauthorized, Message: "this backend wants a token: name a file that holds one with --token-file"}

// WantsToken reports whether err is a backend's refusal that a token would mend, of
// somebody who has shown none. Backends tell that in several ways, the protocol's
// authors among them.
func WantsToken(err error) bool {
	var refused *wire.Error
	if !errors.As(err, &refused) || refused.Code != wire.CodeUnauthorized {
		return false
	}
	for _, other := range []string{
		"only from its own machine", // a relay that takes no tokens, and nobody from elsewhere
		tunnel.ErrBadOwnerProof.Error(),
	} {
		if strings.Contains(refused.Message, other) {
			return false
		}
	}
	return true
}
