package main

import (
	"io"
	"os/exec"
	"path/filepath"
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
		{all[2], true, 5 * all[2].row},
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
			if most := 1.25 * w.row; dollars < test.least || !test.naive && dollars > most {
				t.Errorf("$%.2f, want %.2f to %.2f", dollars, test.least, most)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := bench{out: &out}
	w := workload{name: "x", row: 4}
	cheap := result{workload: w, requests: 1, report: meter.Report{Dollars: 4.1}}
	if err := b.compare([]result{cheap}, []result{{workload: w}}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "does not fit a message") {
		t.Errorf("%s", &out)
	}
	dear := result{workload: w, requests: 1, report: meter.Report{Dollars: 4.2}}
	if err := b.compare([]result{dear}, nil); err == nil || !strings.Contains(err.Error(), "$4.20") {
		t.Errorf("got %v", err)
	}
}
