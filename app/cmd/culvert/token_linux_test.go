package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Nobody types a token: where stdin is a terminal, the command does not wait for one.
func TestTokenFromTerminal(t *testing.T) {
	t.Parallel()
	_, tty := openTerminal(t, 80)
	cmd := exec.Command("culvert", "token", "inspect")
	cmd.Env = append(cmd.Environ(), "CULVERT_TOKEN=")
	cmd.Stdin = tty
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(text), "--token-file") {
		t.Errorf("%v: %s", err, text)
	}
}
