package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// switchProtocols joins the visitor's connection and the stream after a 101, until
// both directions are over. There is no limit to how long they may be silent.
func (x *exchange2) switchProtocols(head *wire.ResponseHead) {
	protocol := head.Header.Get("Upgrade")
	if !visitor.OffersUpgrade(x.head.Upgrade, protocol) {
		x.st.Reset(wire.ResetProtocol, "switched to a protocol that was not asked for")
		x.fail(http.StatusBadGateway, msgNoAnswer, x.uploaded())
		return
	}
	conn, buffered, err := x.waiting.rc.Hijack()
	if err != nil {
		x.cut()
	}
	defer conn.Close()
	stop := context.AfterFunc(x.s.ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Time{})

	header := make(http.Header)
	visitor.CopyAnswer(header, head.Header)
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = []string{protocol}
	timed := &timedWriter{conn: conn, limit: x.s.cfg.Limits.StallTimeout}
	var text strings.Builder
	fmt.Fprintf(&text, "HTTP/1.1 101 %s\r\n", http.StatusText(http.StatusSwitchingProtocols))
	header.Write(&text) // into memory
	text.WriteString("\r\n")
	if _, err := io.WriteString(timed, text.String()); err != nil {
		return
	}

	var upward sync.WaitGroup
	upward.Go(func() {
		// What the server has read beyond the request comes first.
		early := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered()))
		if _, err := x.s.copyAll(x.st, io.MultiReader(early, conn)); err != nil {
			x.st.Reset(wire.ResetCancel, "the visitor has left")
			conn.Close()
			return
		}
		x.st.CloseWrite(nil)
	})
	if _, err := x.s.copyAll(timed, x.st); err != nil || closeWrite(conn) != nil {
		x.st.Reset(wire.ResetCancel, "")
		conn.Close()
	}
	upward.Wait()
}

func (s *Server) copyAll(dst io.Writer, src io.Reader) (int64, error) {
	buf := s.buffer()
	defer s.buffers.Put(buf)
	// Hidden behind interfaces: neither side's own idea of copying is wanted.
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buf[:])
}

var errNoHalfClose = errors.New("the connection cannot be closed for writing alone")

// closeWrite tells the visitor that nothing more comes, but may be sent.
func closeWrite(conn net.Conn) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errNoHalfClose
	}
	return half.CloseWrite()
}

// timedWriter fails when the other side takes nothing for a while.
type timedWriter struct {
	conn  net.Conn
	limit time.Duration
	set   time.Time
}

func (t *timedWriter) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(t.set) > t.limit/4 {
		t.conn.SetWriteDeadline(now.Add(t.limit))
		t.set = now
	}
	return t.conn.Write(p)
}
