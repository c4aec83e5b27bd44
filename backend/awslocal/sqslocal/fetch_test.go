package sqslocal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/backend/awslocal/program"
)

// What Maven brings must be what was tried, and nothing else.
func TestVerify(t *testing.T) {
	t.Parallel()
	list := fmt.Sprintf("%x  a.jar\n%x  b.jar\n", sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b")))
	for name, test := range map[string]struct {
		files map[string]string
		want  string // of the error; "": none
	}{
		"all":     {map[string]string{"a.jar": "a", "b.jar": "b"}, ""},
		"missing": {map[string]string{"a.jar": "a"}, "did not bring b.jar"},
		"changed": {map[string]string{"a.jar": "a", "b.jar": "evil"}, "b.jar is not the file"},
		"more":    {map[string]string{"a.jar": "a", "b.jar": "b", "c.jar": "c"}, "brought c.jar"},
	} {
		dir := t.TempDir()
		for file, text := range test.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := verify(dir, list)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if err := verify(filepath.Join(t.TempDir(), "nowhere"), list); err == nil {
		t.Error("a folder that is not there is complete")
	}
}

func TestAnotherProgramIsNotUsed(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, Version)
	var said strings.Builder
	err := install(t.Context(), cache, dir, &said, func(_ context.Context, _, into string) error {
		return errors.Join(os.Mkdir(into, 0o755),
			os.WriteFile(filepath.Join(into, "elasticmq-server_2.13-"+Version+".jar"), []byte("evil"), 0o600))
	})
	if err == nil || !strings.Contains(err.Error(), "not the file that Culvert knows") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(said.String(), "Apache License 2.0") {
		t.Errorf("told: %q", said.String())
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != 1 || filepath.Base(left[0]) != "fetch.lock" {
		t.Errorf("left behind: %q", left)
	}
}

// What is missing is named, with the package to install; what Maven says is told.
func TestMavenNeeded(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Fetch(t.Context(), t.TempDir(), new(strings.Builder))
	if !errors.Is(err, program.ErrNoTool) || !strings.Contains(err.Error(), "apt install maven") {
		t.Errorf("without Maven: %v", err)
	}
	tools := t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, "mvn"), []byte("#!/bin/sh\necho '[ERROR] Network is unreachable'\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", tools)
	if _, err := Fetch(t.Context(), t.TempDir(), new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "Network is unreachable") {
		t.Errorf("got %v", err)
	}
}

// The versions are written down in three places.
func TestVersion(t *testing.T) {
	t.Parallel()
	if !strings.Contains(string(pom), "<version>"+Version+"</version>") || !strings.Contains(sums, "  elasticmq-server_2.13-"+Version+".jar\n") {
		t.Error("pom.xml and jars.sha256 are not about the same version")
	}
}
