//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/app/doctor"
	"culvert/backend/relay"
)

// mute accepts connections and says nothing; came has room for news of each.
func mute(t *testing.T) (at string, came chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came = make(chan struct{}, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			came <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return "http://" + ln.Addr().String(), came
}

// TestStopWhileABackendIsAsked: a signal is no failure of anybody's, and ends it at once.
func TestStopWhileABackendIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"doctor", []string{"doctor"}, "stopped\n"},
		{"doctor, JSON", []string{"doctor", "--json"}, `"event":"done","failed":0,"warned":0}`},
		{"connections", []string{"connections"}, ""},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(c.name+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				at, came := mute(t)
				p := spawn(t, append(c.args, "--backend", at, "--config", t.TempDir())...)
				p.read()
				select {
				case <-came:
				case <-time.After(patience):
					t.Fatal("nobody comes")
				}
				if err := p.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				var all strings.Builder
				for line := range p.lines {
					all.WriteString(line + "\n")
				}
				if code := p.wait(t); code != exitOK || p.stderr.String() != "" {
					t.Errorf("exit code %d, %s", code, p.stderr.String())
				}
				if got := all.String(); !strings.Contains(got, c.says) || strings.Contains(got, "✗") || strings.Contains(got, `"failed","`) {
					t.Errorf("it says %q", got)
				}
			})
		}
	}
}

// relayOfAnn is a relay that wants tokens, and one that it takes, in a file.
func relayOfAnn(t *testing.T) (at, file, token string) {
	t.Helper()
	at, stop, err := serveRelay(relay.AuthRequired)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if token, err = tokenOfAnn(time.Hour); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return at, file, token
}

// TestConnectionsHaveTunnels lists a tunnel of the same user, with all that is known.
func TestConnectionsHaveTunnels(t *testing.T) {
	t.Parallel()
	at, file, _ := relayOfAnn(t)
	config := t.TempDir()
	flags := []string{"--backend", at, "--token-file", file, "--config", config}
	shop := spawn(t, append([]string{"http", service(t), "--json", "--name", "my-shop"}, flags...)...)
	shop.url(t)

	list := func(more ...string) string {
		t.Helper()
		cmd := exec.Command("culvert", append(append([]string{"connections"}, flags...), more...)...)
		cmd.Env = append(cmd.Environ(), "CULVERT_TOKEN=", "CULVERT_BACKEND=")
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return string(text)
	}
	var tunnel, own connection
	lines := strings.Split(strings.TrimSpace(list("--json")), "\n")
	if len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &tunnel) != nil || json.Unmarshal([]byte(lines[1]), &own) != nil {
		t.Fatalf("lines %q", lines)
	}
	if tunnel.TunnelID != "my-shop" || !strings.HasPrefix(tunnel.Agent, "culvert/") || tunnel.From != "127.0.0.1" || tunnel.This || tunnel.ConnectedAt.IsZero() || tunnel.ConnectionID == "" {
		t.Errorf("the tunnel: %+v", tunnel)
	}
	if own.TunnelID != "" || !own.This || own.ConnectionID == tunnel.ConnectionID || own.ConnectedAt.Before(tunnel.ConnectedAt) {
		t.Errorf("its own: %+v", own)
	}
	text := list()
	if rows := strings.Split(text, "\n"); !strings.HasPrefix(rows[1], "   my-shop  127.0.0.1") || !strings.HasPrefix(rows[2], "*  –        127.0.0.1") {
		t.Errorf("the table:\n%s", text)
	}
	if err := shop.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	shop.wait(t)
	if text := list("--json"); strings.Contains(text, "my-shop") {
		t.Errorf("a tunnel that has gone is listed: %s", text)
	}
}

// TestHostileList: what others have chosen cannot act on the terminal or break the table.
func TestHostileList(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	seen := noon()
	err := printConnections(&out, connectionList{User: "ann\x1b[2J", More: true, Connections: []connection{
		{ConnectionID: "c1", TunnelID: "a\tb\n\x1b]0;pwned\a", Agent: strings.Repeat("x", 500), From: "192.0.2.1\u202e", ConnectedAt: noon(), LastSeen: &seen, This: true},
		{},
	}})
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if strings.ContainsAny(text, "\x1b\a\t\u202e") || strings.Count(text, "\n") != 6 || strings.Contains(text, strings.Repeat("x", maxCell+1)) {
		t.Errorf("%q", text)
	}
	if !strings.Contains(text, "There are more than these 2.") {
		t.Errorf("%q", text)
	}
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// TestChecksAreShown in all states, as lines and with colours on a terminal.
func TestChecksAreShown(t *testing.T) {
	t.Parallel()
	checks := []doctor.Check{
		{ID: doctor.DNS, State: doctor.OK, Detail: "found"},
		{ID: doctor.Clock, State: doctor.Warn, Detail: "late", Advice: "Set it.", Took: 1200 * time.Millisecond},
		{ID: doctor.Token, State: doctor.Failed, Detail: "old", Advice: "Ask."},
		{ID: doctor.Version, State: doctor.Skipped, Detail: "why"},
	}
	show := func(v *checkView, out *bytes.Buffer) string {
		v.out = out
		for _, c := range checks {
			for _, state := range []doctor.State{doctor.Running, c.State} {
				told := doctor.Check{ID: c.ID, State: state}
				if state == c.State {
					told = c
				}
				if err := v.show(told); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := v.end(checks, false); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	lines := "✓ Name           found\n! Clock          late  (1.2 s)\n                 → Set it.\n✗ Token          old\n                 → Ask.\n– Version        why\n"
	if got := show(&checkView{}, &bytes.Buffer{}); got != lines {
		t.Errorf("got  %q\nwant %q", got, lines)
	}
	live := show(&checkView{live: true, color: true}, &bytes.Buffer{})
	if !strings.HasPrefix(live, "… Name\r      \r\x1b[32m✓\x1b[0m Name ") || !strings.Contains(live, "\x1b[31m✗\x1b[0m Token") || !strings.Contains(live, "\x1b[2mwhy\x1b[0m") {
		t.Errorf("on a terminal: %q", live)
	}
	var objects []map[string]any
	for line := range strings.Lines(show(&checkView{json: true}, &bytes.Buffer{})) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	if len(objects) != 5 || objects[1]["status"] != "warn" || objects[1]["took_ms"] != 1200.0 || objects[1]["advice"] != "Set it." ||
		objects[2]["check"] != "token" || objects[3]["status"] != "skipped" || objects[4]["event"] != "done" || objects[4]["failed"] != 1.0 || objects[4]["warned"] != 1.0 {
		t.Errorf("objects %v", objects)
	}
	if err := diagnosis(checks); err == nil || err.Error() != "1 check failed, and there is 1 warning" {
		t.Errorf("%v", err)
	}
	if err := diagnosis(checks[:2]); err != nil {
		t.Errorf("%v", err)
	}
}

// TestReaderOfChecksGone: nobody reads on, so nothing more is tried.
func TestReaderOfChecksGone(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := exec.Command("culvert", "doctor", "--backend", "http://127.0.0.1:1", "--config", t.TempDir())
	cmd.Env = append(cmd.Environ(), "CULVERT_TOKEN=", "CULVERT_BACKEND=")
	var stderr lockedBuffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	err = cmd.Run()
	w.Close()
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "the output cannot be written") {
		t.Errorf("%v: %s", err, stderr.String())
	}
}
