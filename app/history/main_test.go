package history

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// What this test binary does when it is started as another process.
const childVariable = "CULVERT_HISTORY_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		os.Exit(child(role, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

func child(role string, args []string) int { return 1 }
