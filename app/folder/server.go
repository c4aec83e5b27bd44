package folder

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// closePatience is how long Close waits for answers that it has cut: reading a file of a
// disk that does not answer cannot be given up.
const closePatience = time.Second

// Server serves a folder to whoever calls Dial.
type Server struct {
	*Handler
	http   http.Server
	ln     *listener
	served chan struct{} // closed when nobody is accepted any more
	open   sync.WaitGroup
}

// NewServer serves the folder at path, which must be absolute, until Close. Nil is no
// logger.
func NewServer(path string, logger *slog.Logger) *Server {
	s := &Server{
		Handler: NewHandler(path, logger),
		ln:      &listener{accept: make(chan net.Conn), closed: make(chan struct{})},
		served:  make(chan struct{}),
	}
	s.http = http.Server{
		Handler:                      s.Handler,
		ErrorLog:                     log.New(io.Discard, "", 0), // each failure is an answer already
		DisableGeneralOptionsHandler: true,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.open.Add(1)
			case http.StateClosed:
				s.open.Done()
			}
		},
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(s.ln) // ends with Close only
	}()
	return s
}

// Dial connects to the server. The connection has CloseWrite as those of TCP do.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) { return s.ln.dial(ctx) }

// Close cuts all connections.
func (s *Server) Close() {
	_ = s.http.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-s.served
		s.open.Wait()
	}()
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// listener accepts pipes.
type listener struct {
	accept chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return address{} }

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	here, there := newPipe()
	select {
	case l.accept <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
