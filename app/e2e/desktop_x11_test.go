package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// closeWindow does what a window manager does when its close button is clicked: it
// sends WM_DELETE_WINDOW (ICCCM 4.2.8.1), over the X protocol itself, because not
// every version of xdotool can.
func (d *display) closeWindow(t testing.TB, id string) {
	t.Helper()
	window, err := strconv.ParseUint(id, 0, 32)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", "/tmp/.X11-unix/X"+strings.TrimPrefix(d.screen, ":"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	x := &xclient{r: bufio.NewReader(conn), w: conn}
	if err := x.deleteWindow(uint32(window)); err != nil {
		t.Fatal(err)
	}
}

// xclient speaks the few requests that are needed (X Window System Protocol, appendix B).
type xclient struct {
	r io.Reader
	w io.Writer
}

var le = binary.LittleEndian

func (x *xclient) deleteWindow(window uint32) error {
	setup := make([]byte, 12)
	setup[0] = 'l' // little endian
	le.PutUint16(setup[2:], 11)
	if _, err := x.w.Write(setup); err != nil {
		return err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(x.r, head); err != nil {
		return err
	}
	if head[0] != 1 {
		return fmt.Errorf("the X server refused us")
	}
	if _, err := io.CopyN(io.Discard, x.r, 4*int64(le.Uint16(head[6:]))); err != nil {
		return err
	}
	protocols, err := x.atom("WM_PROTOCOLS")
	if err != nil {
		return err
	}
	del, err := x.atom("WM_DELETE_WINDOW")
	if err != nil {
		return err
	}
	send := make([]byte, 44)
	send[0] = 25 // SendEvent
	le.PutUint16(send[2:], 11)
	le.PutUint32(send[4:], window)
	event := send[12:]
	event[0], event[1] = 33, 32 // ClientMessage of 32-bit values
	le.PutUint32(event[4:], window)
	le.PutUint32(event[8:], protocols)
	le.PutUint32(event[12:], del)
	if _, err := x.w.Write(send); err != nil {
		return err
	}
	_, err = x.atom("WM_PROTOCOLS") // an answer says that the event has been sent
	return err
}

func (x *xclient) atom(name string) (uint32, error) {
	padded := (len(name) + 3) &^ 3
	req := make([]byte, 8+padded)
	req[0] = 16 // InternAtom
	le.PutUint16(req[2:], uint16(len(req)/4))
	le.PutUint16(req[4:], uint16(len(name)))
	copy(req[8:], name)
	if _, err := x.w.Write(req); err != nil {
		return 0, err
	}
	reply := make([]byte, 32)
	if _, err := io.ReadFull(x.r, reply); err != nil {
		return 0, err
	}
	if reply[0] != 1 {
		return 0, fmt.Errorf("the X server answered with error %d", reply[1])
	}
	return le.Uint32(reply[8:]), nil
}
