//go:build !linux

package runtime_test

const orphanVariable = "CULVERT_TEST_ORPHAN"

func runUntilKilled(string) {}
