package dynamolocal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJavaVersion(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`:                        17,
		`openjdk version "21" 2023-09-19`:                             21,
		`java version "1.8.0_402"`:                                    8,
		"Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version \"11.0.2\"": 11,
		"openjdk version \"24-ea\"":                                   24,
	} {
		if got, ok := javaVersion(said); !ok || got != want {
			t.Errorf("%q: %d, %t; want %d", said, got, ok, want)
		}
	}
	if got, ok := javaVersion("Unable to locate a Java Runtime"); ok {
		t.Errorf("got %d", got)
	}
}

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
		if !errors.Is(err, ErrNoTool) || !strings.Contains(err.Error(), test.want) {
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
	if !errors.Is(err, ErrNoTool) || !strings.Contains(err.Error(), "apt install npm") {
		t.Errorf("without npm: %v", err)
	}

	t.Setenv("JAVA_HOME", "/nowhere")
	if _, err := findJava(t.Context()); !errors.Is(err, ErrNoTool) {
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
