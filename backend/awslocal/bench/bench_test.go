package main

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/meter"
)

// Few requests on both designs: what they cost, Lambda's time left out, which hangs on
// the machine.
func TestMeasure(t *testing.T) {
	t.Parallel()
	dynamolocal.Test(t) // its program is in the cache from now on
	culvert := filepath.Join(t.TempDir(), "culvert")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", culvert, "culvert/app/cmd/culvert").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := bench{culvert: culvert, bootstrap: awslocaltest.Bootstrap(t), requests: 4, visitors: 1, out: io.Discard}
	all := workloads()
	for _, test := range []struct {
		workload workload
		naive    bool
		least    float64 // dollars
	}{
		{all[0], false, 4},
		{all[2], false, 4},
		{all[4], false, 9},
		{all[2], true, 5 * all[2].may()},
	} {
		name := test.workload.name
		if test.naive {
			name += " naive"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := test.workload
			w.wait = 30 * time.Millisecond
			r, err := b.measure(t.Context(), test.naive, w)
			if err != nil {
				t.Fatal(err)
			}
			if r.requests != 4 || r.used.Invocations < 8 || r.used.HTTPRequests < 4 {
				t.Errorf("%d requests, %+v", r.requests, r.used)
			}
			r.used.GBSeconds = 0
			// A slow machine makes some polls and some dials more.
			dollars := r.used.Per(4, 1e6, meter.USEast1()).Dollars
			if most := 1.25 * w.may(); dollars < test.least || !test.naive && dollars > most {
				t.Errorf("$%.2f, want %.2f to %.2f", dollars, test.least, most)
			}
		})
	}
}

// The sums of the rows are the documented figures, not yet rounded.
func TestRows(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"0.5/0.7 KB": "4.7325", "1/2 KB": "4.9825", "2/20 KB": "4.9825", "2/90 KB": "10.9825", "1 MB": "12.5300"} {
		i := slices.IndexFunc(workloads(), func(w workload) bool { return w.name == name })
		if i < 0 {
			t.Fatalf("%s is gone", name)
		}
		w := workloads()[i]
		if got := fmt.Sprintf("%.4f", w.may()); got != want {
			t.Errorf("%s: $%s, want %s", name, got, want)
		}
		if off := w.may() - w.row.dollars; off < -0.005 || off > 0.005 {
			t.Errorf("%s: $%.3f is not the documented $%.2f", name, w.may(), w.row.dollars)
		}
	}
}

// kept is a result that keeps to the first row, with what a test changes.
func kept(change func(*result)) result {
	w := workloads()[0]
	used, _ := w.sum(100)
	used.ReadUnits, used.Reads = 1, 2
	used.GBSeconds = 100 * (w.wait + 50*time.Millisecond).Seconds() * memory
	r := result{workload: w, requests: 100, used: used, busy: map[string]time.Duration{"public": time.Millisecond, "agents": time.Millisecond}}
	change(&r)
	r.report = r.used.Per(100, 1e6, meter.USEast1())
	return r
}

func TestCompare(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := bench{out: &out}
	fine := kept(func(*result) {})
	if err := b.compare([]result{fine}, []result{{workload: fine.workload}}); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"does not fit a message", "apart", "3000000        3000000", "with time modelled"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	for want, change := range map[string]func(*result){
		"messages":                 func(r *result) { r.used.Messages += 4 },
		"executions":               func(r *result) { r.used.Invocations += 3 },
		"read units":               func(r *result) { r.used.ReadUnits = 51 },
		"requests of the HTTP API": func(r *result) { r.used.HTTPRequests += 2 },
		"calls of S3":              func(r *result) { r.used.Puts = 1 },
		"with its time modelled":   func(r *result) { r.busy["public"] = 20 * time.Millisecond },
		"2 % for this machine":     func(r *result) { r.used.GBSeconds *= 1.5 },
		"more than the row's $4.733 and 0.1 % of it\n": func(r *result) { r.used.WriteUnits, r.used.Writes = 25, 25 },
	} {
		out.Reset()
		if err := b.compare([]result{kept(change)}, nil); err == nil || !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	// Where nobody tells the functions' own time, there is nothing to model.
	blind := kept(func(r *result) { r.busy = nil })
	if out.Reset(); b.compare([]result{blind}, nil) != nil || strings.Contains(out.String(), "with time modelled") {
		t.Errorf("%s", &out)
	}
}
