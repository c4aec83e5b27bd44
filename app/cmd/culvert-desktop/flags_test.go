package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Setenv("CULVERT_CONFIG_DIR", "/from/env")
	if _, err := parse([]string{"--open", "3000,4000"}); !errors.As(err, new(usageError)) {
		t.Errorf("two targets in one flag: %v, want a usage error", err)
	}
	got, err := parse([]string{"--open", "3000", "--minimized", "--open", "localhost:8080", "--backend=https://relay.example"})
	if err != nil {
		t.Fatal(err)
	}
	want := &flags{Open: []string{"3000", "localhost:8080"}, Backend: "https://relay.example", Minimized: true, Config: "/from/env"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if got, err = parse([]string{"--config", "/flag"}); err != nil || got.Config != "/flag" {
		t.Errorf("--config against the environment: %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--nope"}, {"3000"}, {"--open"}, {"--open", "0"}, {"--open", "65536"}, {"--open", "gopher://x"},
		{"--backend", "relay.example"}, {"--backend", "ftp://relay.example"}, {"--backend", "http://"}, {"--backend", ":"}} {
		if _, err := parse(args); !errors.As(err, new(usageError)) {
			t.Errorf("%q: %v, want a usage error", args, err)
		}
	}
}
