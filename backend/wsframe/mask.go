package wsframe

import "crypto/subtle"

// padSize is how much is masked at once: enough to make one call cheap against its work.
const padSize = 1 << 10

// pad is a masking key, repeated.
type pad [padSize]byte

// set fills the first n bytes with key, from its byte at phase on.
func (p *pad) set(key [4]byte, phase, n int) {
	n = min(n, padSize)
	for i := range min(4, n) {
		p[i] = key[(phase+i)&3]
	}
	for done := 4; done < n; done *= 2 {
		copy(p[done:n], p[:done])
	}
}

// shortMask is up to where setting up a pad does not pay.
const shortMask = 32

// mask masks b, or takes the mask off (RFC 6455, section 5.3), beginning with the key's
// byte at phase, and gives the phase of what follows.
func (p *pad) mask(key [4]byte, phase int, b []byte) int {
	next := (phase + len(b)) & 3
	if len(b) <= shortMask {
		for i := range b {
			b[i] ^= key[(phase+i)&3]
		}
		return next
	}
	p.set(key, phase, len(b))
	for len(b) > 0 {
		n := subtle.XORBytes(b, b, p[:min(len(b), padSize)]) // padSize is a multiple of the key's length
		b = b[n:]
	}
	return next
}
