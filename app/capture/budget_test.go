package capture

import (
	"fmt"
	"net/http"
	"testing"
)

// TestUnfinishedMessagesAreBudgeted, also those that have to be there whole before they
// can be read; all of it comes back.
func TestUnfinishedMessagesAreBudgeted(t *testing.T) {
	t.Parallel()
	const memory, streams = 4 << 20, 50
	for _, tt := range []struct {
		name       string
		extensions []string
		first      byte // of a frame's head: binary, more to follow
		least      int64
	}{
		{"plain", nil, 0x02, 60 << 10},
		{"compressed", []string{"permessage-deflate"}, 0x42, 200 << 10},
	} {
		r := newStreamed(t, Config{Memory: memory})
		answer := changed
		answer.Header = http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Extensions": tt.extensions}
		head := []byte{tt.first, 127, 0, 0, 0, 0, 0x7f, 0, 0, 0}
		var records []*Record
		for i := range streams {
			rec := r.Begin(fmt.Sprint(i), &upgrade)
			rec.ResponseHead(&answer)
			rec.ResponseBody(head)
			before := r.memory.Load()
			for range 32 {
				rec.ResponseBody(make([]byte, 8<<10))
			}
			left := r.memory.Load()
			if left < 0 {
				t.Fatalf("%s: %d of the budget are left", tt.name, left)
			}
			if taken := before - left; i == 0 && taken < tt.least {
				t.Errorf("%s: an unfinished message takes %d", tt.name, taken)
			}
			records = append(records, rec)
		}
		if left := r.memory.Load(); left > memory/4 {
			t.Errorf("%s: %d of %d are left", tt.name, left, memory)
		}
		for _, rec := range records {
			rec.End(nil)
		}
		r.Close()
		if left := r.memory.Load(); left != memory {
			t.Errorf("%s: %d of %d are left in the end", tt.name, left, memory)
		}
	}
}

// TestOldMessagesLeaveForNewOnes while those are being read.
func TestOldMessagesLeaveForNewOnes(t *testing.T) {
	t.Parallel()
	r := newStreamed(t, Config{Memory: 5000})
	rec := r.Begin("1", &upgrade)
	rec.ResponseHead(&changed)
	s := soon(t, "stream", r.opened)
	for i := range 20 {
		text := fmt.Sprintf("%01000d", i)
		rec.ResponseBody(frame(text))
		if last, _ := s.Messages(i); len(last) != 1 || string(last[0].Data) != text {
			t.Fatalf("message %d: %v", i, last)
		}
	}
	rec.End(nil)
}
