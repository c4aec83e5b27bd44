package dynamolocal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/backend/awslocal/program"
)

// script puts a program into a folder of its own.
func script(t *testing.T, name, text string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestMissingTools(t *testing.T) {
	t.Setenv("JAVA_HOME", "")
	for name, test := range map[string]struct {
		java string
		want string
	}{
		"none":    {"", "none here"},
		"too old": {`echo 'openjdk version "11.0.2"' >&2`, "is Java 11"},
		"a stub":  {"echo 'Unable to locate a Java Runtime.' >&2; exit 1", "Unable to locate"},
	} {
		folder := t.TempDir()
		if test.java != "" {
			folder = script(t, "java", test.java)
		}
		t.Setenv("PATH", folder)
		_, err := Start(t.Context(), Config{Cache: t.TempDir()})
		if !errors.Is(err, program.ErrNoTool) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, system := range []string{"Debian, Ubuntu  apt install default-jre-headless", "Fedora", "Arch", "macOS"} {
			if !strings.Contains(err.Error(), system) {
				t.Errorf("%s: nothing for %s in %v", name, system, err)
			}
		}
	}

	t.Setenv("PATH", script(t, "java", `echo 'openjdk version "17.0.2"' >&2`))
	_, err := Start(t.Context(), Config{Cache: t.TempDir()})
	if !errors.Is(err, program.ErrNoTool) || !strings.Contains(err.Error(), "apt install npm") {
		t.Errorf("without npm: %v", err)
	}

	t.Setenv("JAVA_HOME", "/nowhere")
	if _, err := program.FindJava(t.Context(), name, minJava); !errors.Is(err, program.ErrNoTool) {
		t.Errorf("JAVA_HOME of nothing: %v", err)
	}
}

func TestWhatNPMSaysIsTold(t *testing.T) {
	npm := filepath.Join(script(t, "npm", "echo 'npm error network unreachable' >&2; exit 1"), "npm")
	_, err := pack(t.Context(), npm, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "network unreachable") {
		t.Errorf("got %v", err)
	}
}
