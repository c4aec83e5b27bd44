package visitors

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// A long message says what it says to package wire, or is refused for the same reason.
func TestLongMessages(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("QUJD", event.CutOver/4)
	for _, text := range []string{
		`{"type":"http_response","request_id":"r","status_code":200,"headers":{"A":["b"]},"body":"` + long + `","processing_time_ms":3}`,
		`{"body":"` + long + `Q\/==","type":"http_response","request_id":"r","status_code":200}`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + long + `Q"}`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + long + "\xff" + `"}`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + long + `","Body":""}`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + long + `","uploaded":true,"body_size":9}`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + long + `","more":true,"body_size":99999}`,
		`{"type":"http_response","request_id":"r","status_code":2000,"body":"` + long + `"}`,
		`{"type":"http_response","request_id":"r","status_code":200,"headers":{"X":["` + long + `"]},"body":""}`,
		`{"type":"chunk","request_id":"r","seq":2,"body":"` + long + `"}`,
		`{"type":"chunk","request_id":"r","seq":2,"last":true,"body":"` + long + `"}`,
		`{"type":"error","request_id":"r","code":"timeout","message":"` + long + `","body":"` + long + `"}`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + long + `"`,
		`{"type":"http_response","request_id":"r","status_code":200,"body":"` + strings.Repeat(long, 20) + `"}`,
	} {
		for _, declared := range []bool{false, true} {
			decode := wire.Decode
			if declared {
				decode = wire.DecodeDeclared
			}
			want, wantErr := decode([]byte(text), wire.MaxGatewayMessage)
			got, err := (&inbox{declared: declared}).decode([]byte(text))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%.80s (-wire +inbox):\n%.400s", text, diff)
			}
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("%.80s: %v, want %v", text, err, wantErr)
			}
		}
	}
}
