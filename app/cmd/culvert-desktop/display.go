package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// needDisplay says what to do where there is no screen; Fyne would only panic.
func needDisplay() error {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" || os.Getenv("WAYLAND_DISPLAY") != "" {
		return nil
	}
	display := os.Getenv("DISPLAY")
	if display == "" {
		return errors.New("there is no display here (DISPLAY and WAYLAND_DISPLAY are empty): start it on a desktop, or open a tunnel with `culvert http TARGET`")
	}
	if err := dialDisplay(display); err != nil {
		return fmt.Errorf("the display %s (DISPLAY) cannot be opened: %w: start it on a desktop, or open a tunnel with `culvert http TARGET`", display, err)
	}
	return nil
}

var errNoServer = errors.New("no X server answers there")

// displayPatience bounds the wait for a display on another machine.
const displayPatience = 5 * time.Second

// dialDisplay finds out whether an X server listens where DISPLAY says. The form is
// [host]:number[.screen], see X(7), section "Display names".
func dialDisplay(display string) error {
	at := strings.LastIndexByte(display, ':')
	if at < 0 {
		return errors.New("it has no number, as in :0")
	}
	host, screen := display[:at], display[at+1:]
	text, _, _ := strings.Cut(screen, ".")
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("its number is none, as in :0")
	}
	if host != "" && host != "unix" {
		if strings.ContainsRune(host, '/') {
			return nil // a form that only the X library knows
		}
		return tryDial("tcp", net.JoinHostPort(host, strconv.FormatUint(6000+number, 10)))
	}
	path := "/tmp/.X11-unix/X" + text
	err = tryDial("unix", path)
	if err != nil && runtime.GOOS == "linux" && tryDial("unix", "@"+path) == nil { // an abstract socket, see unix(7)
		return nil
	}
	return err
}

func tryDial(network, address string) error {
	conn, err := net.DialTimeout(network, address, displayPatience)
	if err != nil {
		return errNoServer // which address it was tried at helps nobody
	}
	return conn.Close()
}
