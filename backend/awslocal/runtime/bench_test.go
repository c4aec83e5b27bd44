package runtime_test

import (
	"testing"
	"time"

	"culvert/backend/awslocal/runtime"
)

// BenchmarkWarm is what the stand-in itself adds to an invocation.
func BenchmarkWarm(b *testing.B) {
	for name, keep := range map[string]bool{"frozen": false, "running": true} {
		b.Run(name, func(b *testing.B) {
			f, err := runtime.New(runtime.Config{Name: "bench", Bootstrap: program, KeepRunning: keep, Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			defer f.Stop()
			for b.Loop() {
				if r, err := f.Invoke(b.Context(), []byte(`{"action":"echo"}`)); err != nil || r.FunctionError != "" {
					b.Fatal(err, r.FunctionError)
				}
			}
		})
	}
}

// BenchmarkCold is a start and an invocation.
func BenchmarkCold(b *testing.B) {
	f, err := runtime.New(runtime.Config{Name: "bench", Bootstrap: program, Timeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Stop()
	for b.Loop() {
		if _, err := f.Invoke(b.Context(), []byte(`{"action":"echo"}`)); err != nil {
			b.Fatal(err)
		}
		f.Recycle()
	}
}
