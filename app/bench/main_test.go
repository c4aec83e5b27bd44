package main

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// The test binary is this program's parts, too, since it runs itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if part := parts()[os.Args[1]]; part != nil {
			if err := part(context.Background(), os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}
