package main

import (
	"io"
	"os"
	"runtime"

	"golang.org/x/term"

	"culvert/app/console"
)

// terminal finds out what can be shown on w.
func terminal(w io.Writer) console.TextConfig {
	if !isTerminal(w) {
		return console.TextConfig{}
	}
	f := w.(*os.File)
	return console.TextConfig{
		Color: colorful(os.Getenv, runtime.GOOS),
		Width: func() int {
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
				return width
			}
			return 80
		},
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colorful: https://no-color.org, and terminals that say that they have none. The
// console of older versions of Windows shows escape sequences as they are.
func colorful(env func(string) string, goos string) bool {
	if env("NO_COLOR") != "" || env("TERM") == "dumb" {
		return false
	}
	return goos != "windows" || env("WT_SESSION") != "" || env("TERM") != ""
}
