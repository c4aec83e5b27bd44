package stream

import (
	"io"
	"iter"

	"culvert/app/coding"
)

// pushed is a reader of codings that is given its input piece by piece. The reader
// wants to pull, and so it runs as a coroutine that is resumed by each piece.
type pushed struct {
	input  []byte
	output func([]byte)
	err    error
	growth growth
	next   func() (struct{}, bool)
	stop   func()
}

func newPushed(codings []string) (*pushed, error) {
	p := &pushed{}
	source := &pieces{from: p}
	r, err := coding.NewReader(codings, source)
	if err != nil {
		return nil, err
	}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer r.Close()
		source.yield = yield
		buf := make([]byte, 8<<10)
		for p.err == nil {
			var n int
			n, p.err = r.Read(buf)
			if p.output == nil {
				return // closed
			}
			p.output(buf[:n])
			if !p.growth.spend(n) {
				return
			}
		}
	})
	return p, nil
}

// push decodes a piece, and is false at the end of the data or if it is broken.
func (p *pushed) push(piece []byte, output func([]byte)) bool {
	p.growth.paid(len(piece))
	p.input, p.output = piece, output
	_, ok := p.next()
	p.input, p.output = nil, nil
	return ok
}

func (p *pushed) close() { p.stop() }

// pieces is what the coroutine reads from.
type pieces struct {
	from  *pushed
	yield func(struct{}) bool
	ended bool
}

func (s *pieces) Read(b []byte) (int, error) {
	for len(s.from.input) == 0 {
		if s.ended || !s.yield(struct{}{}) {
			s.ended = true
			return 0, io.ErrUnexpectedEOF
		}
	}
	n := copy(b, s.from.input)
	s.from.input = s.from.input[n:]
	return n, nil
}
