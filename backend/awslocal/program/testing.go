package program

import "os"

// TB is what tests' servers need of a testing.TB. Named here, it keeps the testing
// package out of programs.
type TB interface {
	Helper()
	Fatal(args ...any)
	Skip(args ...any)
}

// Unavailable ends a test whose server cannot be had: it is skipped, except in
// continuous integration (CI=true, or CULVERT_E2E=1 as make test sets), where it fails.
func Unavailable(t TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "true" && os.Getenv("CULVERT_E2E") != "1" {
		t.Skip(err)
	}
	t.Fatal(err)
}
