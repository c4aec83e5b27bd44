//go:build !linux && !darwin

package link

// setUnackedLimit does nothing: Windows gives up after some 20 s by itself.
func setUnackedLimit(uintptr) {}

// setUnsentLimit does nothing: there, a slow line may carry some parts twice.
func setUnsentLimit(uintptr) {}
