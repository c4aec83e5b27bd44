package wsapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFramesFromClients(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 300)
	for name, test := range map[string]struct {
		raw  []byte
		want frame
		code int // of the violation
	}{
		"text":              {masked(true, opText, []byte("hello")), frame{true, opText, []byte("hello")}, 0},
		"empty":             {masked(true, opText, nil), frame{true, opText, []byte{}}, 0},
		"in 16 bits":        {masked(false, opText, long[:126]), frame{false, opText, long[:126]}, 0},
		"as long as may be": {masked(true, opContinuation, long[:200]), frame{true, opContinuation, long[:200]}, 0},
		"longer":            {masked(true, opText, long[:201]), frame{}, 1009},
		"huge":              {append([]byte{0x81, 0xFF}, bytes.Repeat([]byte{0xFF}, 8)...), frame{}, 1009},
		"ping":              {masked(true, opPing, long[:125]), frame{true, opPing, long[:125]}, 0},
		"ping too long":     {masked(true, opPing, long[:126]), frame{}, 1002},
		"ping in pieces":    {masked(false, opPing, nil), frame{}, 1002},
		"binary":            {masked(true, opBinary, []byte("b")), frame{}, 1003},
		"not masked":        {appendFrame(nil, true, opText, []byte("x")), frame{}, 1002},
		"compressed":        {append([]byte{0xC1}, masked(true, opText, nil)[1:]...), frame{}, 1002},
		"unknown kind":      {masked(true, 0x3, nil), frame{}, 1002},
		"unknown control":   {masked(true, 0xB, nil), frame{}, 1002},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readFrame(bufio.NewReader(bytes.NewReader(test.raw)), 200)
			violated := (*violation)(nil)
			if errors.As(err, &violated) {
				if violated.code != test.code {
					t.Errorf("closes with %v, want %d", violated, test.code)
				}
				return
			}
			if err != nil || test.code != 0 {
				t.Fatalf("got error %v, want close %d", err, test.code)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(frame{})); diff != "" {
				t.Error(diff)
			}
			for n := range test.raw {
				_, err := readFrame(bufio.NewReader(bytes.NewReader(test.raw[:n])), 200)
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("cut after %d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestCloseFrames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		code   int
		reason string
		want   string
	}{
		{closeGoingAway, "Going away", "\x88\x0c\x03\xe9Going away"},
		{closeNoStatus, "", "\x88\x00"},
		{closeAbnormal, "x", "\x88\x00"},
		{closeTooBig, strings.Repeat("x", 200), "\x88\x7d\x03\xf1" + strings.Repeat("x", 123)},
	} {
		if got := string(appendClose(nil, test.code, test.reason)); got != test.want {
			t.Errorf("close %d gives %q, want %q", test.code, got, test.want)
		}
	}
}

// FuzzReadFrame: whatever a client sends, no frame is longer than allowed, and one
// that was read is read from what it encodes to.
func FuzzReadFrame(f *testing.F) {
	f.Add(masked(true, opText, []byte("hello")))
	f.Add(masked(false, opText, bytes.Repeat([]byte("x"), 126)))
	f.Add(masked(true, opClose, []byte{3, 0xE8}))
	f.Add([]byte{0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, raw []byte) {
		const limit = 200
		got, err := readFrame(bufio.NewReader(bytes.NewReader(raw)), limit)
		if err != nil {
			return
		}
		if len(got.payload) > limit || got.op == opBinary {
			t.Fatalf("took a frame of %d bytes, kind %d", len(got.payload), got.op)
		}
		again, err := readFrame(bufio.NewReader(bytes.NewReader(masked(got.fin, got.op, got.payload))), limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again, cmp.AllowUnexported(frame{})); diff != "" {
			t.Error(diff)
		}
	})
}
