//go:build !linux && !darwin

package link

// setUnackedLimit does nothing: Windows gives up after some 20 s by itself.
func setUnackedLimit(uintptr) {}
