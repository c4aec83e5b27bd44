package wsframe

import (
	"encoding/binary"
	"math/bits"
)

// mask masks b, or takes the mask off (RFC 6455, section 5.3), beginning with the key's
// byte at phase, and gives the phase of what follows. Four words at a time leave the
// processor something to do in parallel, and need no buffer of the key repeated.
func mask(key [4]byte, phase int, b []byte) int {
	next := (phase + len(b)) & 3
	once := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*phase)
	k := uint64(once)<<32 | uint64(once)
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^k)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^k)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k >>= 8
	}
	return next
}
