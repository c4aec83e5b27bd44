package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// screen reads pixels of the display, over the protocol itself (X Window System
// Protocol, appendix B): a program that takes pictures would need longer than what
// is measured.
type screen struct {
	conn net.Conn
	root uint32
}

var le = binary.LittleEndian

func openScreen() (*screen, error) {
	_, number, _ := strings.Cut(os.Getenv("DISPLAY"), ":")
	number, _, _ = strings.Cut(number, ".")
	conn, err := net.Dial("unix", "/tmp/.X11-unix/X"+number)
	if err != nil {
		return nil, err
	}
	s := &screen{conn: conn}
	if s.root, err = s.greet(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *screen) Close() { s.conn.Close() }

// greet opens the connection and finds the root window.
func (s *screen) greet() (root uint32, err error) {
	setup := make([]byte, 12)
	setup[0] = 'l' // little endian
	le.PutUint16(setup[2:], 11)
	if _, err := s.conn.Write(setup); err != nil {
		return 0, err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return 0, err
	}
	body := make([]byte, 4*int(le.Uint16(head[6:])))
	if _, err := io.ReadFull(s.conn, body); err != nil {
		return 0, err
	}
	if head[0] != 1 || len(body) < 32 {
		return 0, fmt.Errorf("the X server refused us (xvfb-run with -ac lets everybody in)")
	}
	vendor := int(le.Uint16(body[16:]))
	formats := int(body[21])
	at := 32 + (vendor+3)&^3 + 8*formats // the first screen
	if at+4 > len(body) {
		return 0, fmt.Errorf("the X server names no screen")
	}
	return le.Uint32(body[at:]), nil
}

// pixel is the colour at a place of the screen, 0xRRGGBB.
func (s *screen) pixel(x, y int16) (uint32, error) {
	req := make([]byte, 20)
	req[0], req[1] = 73, 2 // GetImage, ZPixmap
	le.PutUint16(req[2:], 5)
	le.PutUint32(req[4:], s.root)
	le.PutUint16(req[8:], uint16(x))
	le.PutUint16(req[10:], uint16(y))
	le.PutUint16(req[12:], 1)
	le.PutUint16(req[14:], 1)
	le.PutUint32(req[16:], 0xffffffff)
	if _, err := s.conn.Write(req); err != nil {
		return 0, err
	}
	head := make([]byte, 32)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return 0, err
	}
	if head[0] != 1 {
		return 0, fmt.Errorf("the X server answered with error %d", head[1])
	}
	data := make([]byte, 4*int(le.Uint32(head[4:])))
	if _, err := io.ReadFull(s.conn, data); err != nil || len(data) < 4 {
		return 0, fmt.Errorf("the picture is %d bytes: %w", len(data), err)
	}
	return le.Uint32(data) & 0xffffff, nil
}
