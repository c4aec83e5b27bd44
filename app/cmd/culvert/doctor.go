package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"culvert/app/doctor"
	"culvert/app/target"
	"culvert/app/version"
	"culvert/backend/wire"
)

type doctorCmd struct {
	Target target.Target `arg:"" optional:"" help:"A local service to look at, too, as culvert http takes it: a port, host:port, URL or folder."`

	backendFlags
	JSON bool `name:"json" help:"Print one JSON object per check on stdout, and one at the end."`
}

// Help is shown below the summary.
func (*doctorCmd) Help() string {
	return `Examples:

    culvert doctor
    culvert doctor 3000 --backend https://tunnel.example.com --token-file token
    culvert doctor --json | jq -r 'select(.status == "failed").advice'

It connects as culvert http does, by the same flags, profile and proxy, takes a tunnel with a name of the backend's choice for a moment, and leaves. Tunnels that are open are not touched.

JSON objects have time, check, title, status (ok, warn, failed or skipped), detail, advice and took_ms; the last one has event "done", failed and warned.

Exit codes: 0 nothing failed, or stopped by a signal before that; 1 something failed; 2 called wrongly; 3 refused by the backend.`
}

// Run makes the checks and shows each as it ends.
func (c *doctorCmd) Run(out *output) error {
	a, err := c.open(out)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	view := c.view(out.stdout)
	told := func(c doctor.Check) {
		if err == nil && (c.State != doctor.Skipped || ctx.Err() == nil || view.json) {
			if err = view.show(c); err != nil {
				cancel() // nobody is going to read the rest
			}
		}
	}
	checks := doctor.Run(ctx, doctor.Backend{
		URL: a.backend, Token: a.token, RootCAs: a.roots, Owner: a.owner, Agent: version.Agent(), Target: c.Target,
	}, told)
	if err == nil {
		err = view.end(checks, ctx.Err() != nil)
	}
	if err != nil {
		return fmt.Errorf("the output cannot be written: %w", err)
	}
	return diagnosis(checks)
}

// diagnosis is the exit code's error. What failed has been shown.
func diagnosis(checks []doctor.Check) error {
	failed, warned := tally(checks)
	for _, c := range checks {
		if c.Refused {
			return &wire.Error{Code: wire.CodeUnauthorized, Message: "refused by the backend: " + c.Detail}
		}
	}
	switch {
	case failed > 0 && warned > 0:
		return fmt.Errorf("%s failed, and there is %s", count(failed, "check"), count(warned, "warning"))
	case failed > 0:
		return fmt.Errorf("%s failed", count(failed, "check"))
	}
	return nil
}

func tally(checks []doctor.Check) (failed, warned int) {
	for _, c := range checks {
		switch c.State {
		case doctor.Failed:
			failed++
		case doctor.Warn:
			warned++
		}
	}
	return failed, warned
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// checkView shows checks, as lines or as JSON.
type checkView struct {
	out         io.Writer
	json        bool
	live, color bool // live: a line can be written over
	pending     int  // columns of the line that is to be written over
}

func (c *doctorCmd) view(out io.Writer) *checkView {
	return &checkView{out: out, json: c.JSON, live: isTerminal(out), color: terminal(out).Color}
}

// show shows a check that runs, or what came of it.
func (v *checkView) show(c doctor.Check) error {
	switch {
	case v.json && c.State == doctor.Running:
		return nil
	case v.json:
		return v.object(checkObject{now(), string(c.ID), c.ID.Title(), statusWord(c.State), c.Detail, c.Typing(), c.Took.Milliseconds()})
	case c.State == doctor.Running:
		return v.progress(c.ID.Title())
	}
	mark, color := "✓", "32"
	switch c.State {
	case doctor.Warn:
		mark, color = "!", "33"
	case doctor.Failed:
		mark, color = "✗", "31"
	case doctor.Skipped:
		mark, color = "–", "2"
	}
	line := fmt.Sprintf("%s %s", v.paint(color, mark), left(c.ID.Title(), titleWidth()))
	if c.State == doctor.Skipped {
		line += "  " + v.paint("2", c.Detail)
	} else {
		line += "  " + c.Detail
	}
	if c.Took >= time.Second {
		line += v.paint("2", fmt.Sprintf("  (%.1f s)", c.Took.Seconds()))
	}
	line += "\n"
	if advice := c.Typing(); advice != "" {
		line += strings.Repeat(" ", 4+titleWidth()) + "→ " + advice + "\n"
	}
	return v.print(line)
}

// progress shows what is under way, where the line can be taken back.
func (v *checkView) progress(what string) error {
	if !v.live {
		return nil
	}
	text := "… " + what
	err := v.print(text)
	v.pending = utf8.RuneCountInString(text)
	return err
}

// print writes over what is under way.
func (v *checkView) print(text string) error {
	if v.pending > 0 {
		text = "\r" + strings.Repeat(" ", v.pending) + "\r" + text
		v.pending = 0
	}
	_, err := io.WriteString(v.out, text)
	return err
}

// end says what all came to.
func (v *checkView) end(checks []doctor.Check, stopped bool) error {
	failed, warned := tally(checks)
	if v.json {
		return v.object(doneObject{now(), "done", failed, warned})
	}
	tested := slices.ContainsFunc(checks, func(c doctor.Check) bool { return c.State != doctor.Skipped })
	text := "\nEverything works.\n"
	switch {
	case failed > 0:
		text = "" // the error that follows says so
	case stopped:
		text = "stopped\n"
	case !tested:
		text = "\nNothing was tested: name a backend with --backend, or a local service.\n"
	case warned > 0:
		text = fmt.Sprintf("\nIt works, with %s.\n", count(warned, "warning"))
	}
	return v.print(text)
}

type checkObject struct {
	Time   string `json:"time"`
	Check  string `json:"check"`
	Title  string `json:"title"`
	Status string `json:"status"`
	Detail string `json:"detail"`
	Advice string `json:"advice"`
	TookMS int64  `json:"took_ms"`
}

type doneObject struct {
	Time   string `json:"time"`
	Event  string `json:"event"`
	Failed int    `json:"failed"`
	Warned int    `json:"warned"`
}

func (v *checkView) object(o any) error { return writeObject(v.out, o) }

// writeObject writes JSON on a line of its own.
func writeObject(out io.Writer, o any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(o)
}

func now() string { return time.Now().Format(time.RFC3339Nano) }

func statusWord(s doctor.State) string {
	switch s {
	case doctor.OK:
		return "ok"
	case doctor.Warn:
		return "warn"
	case doctor.Failed:
		return "failed"
	}
	return "skipped"
}

// titleWidth is that of the longest title.
func titleWidth() (width int) {
	for _, id := range doctor.IDs() {
		width = max(width, utf8.RuneCountInString(id.Title()))
	}
	return width
}

func left(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func (v *checkView) paint(color, s string) string {
	if !v.color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// untilSignal gives a context that ends with a signal to stop.
func untilSignal() (context.Context, func()) {
	signals, stop := listenForSignals()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-signals:
			cancel(errSignal)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		stop()
	}
}

// errSignal is why a context of untilSignal ended before its time.
var errSignal = errors.New("stopped by a signal")
