package exchange

import "net/http"

// What a value takes beside its text, about, in bytes: its struct, the slices and
// strings that lead to the text, and what a map keeps for a name.
const (
	exchangeOverhead = 1 << 10
	messageOverhead  = 128
	fieldOverhead    = 64
	valueOverhead    = 16
)

// Weight is about how many bytes x takes, in memory as well as on disk. Everything
// counts that a visitor or a service can make long: whoever bounds many exchanges
// bounds the sum of their weights.
func Weight(x *Exchange) int64 {
	n := exchangeOverhead
	for _, s := range []string{
		x.ID, x.Tunnel, x.Target, x.URL, x.RemoteAddr, x.Method, x.Path, x.Host, x.Upgrade, x.Err, x.Detail, x.ReplayOf,
	} {
		n += len(s)
	}
	for _, m := range []*Message{&x.Request, &x.Response} {
		n += headerWeight(m.Header) + len(m.Body)
	}
	weight := int64(n)
	for i := range x.Messages {
		weight += MessageWeight(&x.Messages[i])
	}
	return weight
}

// MessageWeight is the part of one message in the Weight of its exchange.
func MessageWeight(m *StreamMessage) int64 {
	return int64(messageOverhead + len(m.Name) + len(m.LastID) + len(m.Data))
}

func headerWeight(h http.Header) int {
	n := 0
	for name, values := range h {
		n += fieldOverhead + len(name)
		for _, v := range values {
			n += valueOverhead + len(v)
		}
	}
	return n
}
