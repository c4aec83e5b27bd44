package meter

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/wsapi"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	m := New()
	for _, u := range []wsapi.Usage{
		{Kind: wsapi.Connected},
		{Kind: wsapi.MessageIn, Bytes: 33 << 10, Units: 2},
		{Kind: wsapi.MessageOut, Bytes: 1, Units: 1},
		{Kind: wsapi.Managed, Principal: runtime.AccessKeyID("public"), Action: "execute-api:ManageConnections", Resource: "arn:x"},
		{Kind: wsapi.Managed, Principal: "somebody", Action: "execute-api:ManageConnections", Resource: "arn:y"},
		{Kind: wsapi.Disconnected, Duration: 61 * time.Second},
		{Kind: wsapi.Integrated},
	} {
		m.Observe(u)
	}
	m.Invoked(runtime.Report{Outcome: runtime.Succeeded, Init: 20 * time.Millisecond, Duration: 980 * time.Millisecond, MemoryMB: 128})
	m.Invoked(runtime.Report{Outcome: runtime.Throttled, MemoryMB: 128})
	m.Logged(runtime.Line{Text: "four"})
	m.Visited(10, 100)
	m.Visited(0, 512<<10+1)
	want := Usage{
		HTTPRequests: 3, Messages: 3, Managed: 2, Connects: 1, ConnectionMinutes: 2,
		Invocations: 1, Billed: time.Second, GBSeconds: 0.125, LogBytes: 5,
	}
	if diff := cmp.Diff(want, m.Usage()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]Call{{"public", "execute-api:ManageConnections", "arn:x"}}, m.Calls()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The row that the design promises for a small request: one visit, three messages, two
// invocations.
func TestReport(t *testing.T) {
	t.Parallel()
	used := Usage{
		HTTPRequests: 10, Messages: 30, Invocations: 20, GBSeconds: 10 * 0.2 * 0.125, WriteUnits: 10, ReadUnits: 80,
		ConnectionMinutes: 4, Puts: 2, Gets: 5, QueueRequests: 7, LogBytes: 2e9, Parameters: 99, Managed: 20,
	}
	r := used.Report(USEast1())
	want := (10*1 + 30*1 + 4*0.25 + 20*0.2 + 10*0.625 + 80*0.125 + 2*5 + 5*0.4 + 7*0.4) / 1e6
	want += 0.25 * 0.0000133334
	if math.Abs(r.Dollars-want) > 1e-12 {
		t.Errorf("$%.9f, want $%.9f", r.Dollars, want)
	}
	if r.Logs.Dollars != 1 {
		t.Errorf("logs $%v, want 1, apart", r.Logs.Dollars)
	}
	million := used.Per(10, 1e6, USEast1())
	if math.Abs(million.Dollars-want*1e5) > 1e-6 || million.Lines[1].Count != 3e6 || million.Logs.Dollars != 1e5 {
		t.Errorf("per million: %+v", million)
	}
	var b strings.Builder
	n, err := r.WriteTo(&b)
	if err != nil || int(n) != b.Len() {
		t.Errorf("wrote %d of %d, %v", n, b.Len(), err)
	}
	for _, text := range []string{"HTTP API requests", "in all", "CloudWatch Logs GB, apart"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("no %q in\n%s", text, &b)
		}
	}
}

func TestSub(t *testing.T) {
	t.Parallel()
	a := Usage{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}
	if diff := cmp.Diff(a, Usage{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34}.Sub(a)); diff != "" {
		t.Errorf("a field is forgotten: -want +got:\n%s", diff)
	}
}
