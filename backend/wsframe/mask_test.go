package wsframe

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// Every length and every phase, and nothing beside what is masked.
func TestMask(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 0))
	key := [4]byte{0x81, 0x00, 0x7E, 0xC3}
	plain := randomBytes(random, 3000+16)
	for n := range 3001 {
		for phase := range 4 {
			at := n % 9 // the instructions want no alignment
			got, want := bytes.Clone(plain), bytes.Clone(plain)
			next := mask(key, phase, got[at:at+n])
			maskByBytes(key, phase, want[at:at+n])
			if !bytes.Equal(got, want) || next != (phase+n)%4 {
				t.Fatalf("%d bytes from phase %d: not the mask, or phase %d afterwards", n, phase, next)
			}
		}
	}
}

// A frame is unmasked right however it is cut, by the network and by who reads.
func TestUnmaskInPieces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 0))
	for range 300 {
		want := randomBytes(random, random.IntN(5000))
		cut := random.IntN(len(want) + 1)
		stream := raw{first: 2, masked: true, payload: want[:cut]}.append(nil)
		stream = raw{first: fin, masked: true, payload: want[cut:]}.append(stream)
		var in io.Reader = bytes.NewReader(stream)
		if random.IntN(2) == 0 {
			in = iotest.HalfReader(in)
		}
		c := reading(in, false, 5000)
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for {
			// What lies behind what is read stays as it is.
			buf := bytes.Repeat([]byte{0x55}, random.IntN(1500)+1)
			n, err := c.Read(buf[:random.IntN(len(buf))+1])
			got = append(got, buf[:n]...)
			if len(bytes.Trim(buf[n:], "\x55")) > 0 {
				t.Fatal("bytes behind what was read have changed")
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes cut at %d: not the same", len(want), cut)
		}
	}
}
