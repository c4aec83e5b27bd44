package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a peer that has declared nothing gets: the table and not a byte more.
func TestEncodeIsTheTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message any
		want    string
	}{
		{&Ready{}, `{"type":"ready"}`},
		{&Established{ConnectionID: "c", TunnelID: "t", PublicURL: "https://x/t"},
			`{"type":"connection_established","connection_id":"c","tunnel_id":"t","public_url":"https://x/t"}`},
		{&Established{ConnectionID: "c", TunnelID: "t", PublicURL: "u", SubdomainURL: "s", PathBasedURL: "p"},
			`{"type":"connection_established","connection_id":"c","tunnel_id":"t","public_url":"u","subdomain_url":"s","path_based_url":"p"}`},
		{&HTTPRequest{RequestID: "r", Method: "GET", URI: "/a?b=<&>", Timestamp: 1700000000000},
			`{"type":"http_request","request_id":"r","method":"GET","uri":"/a?b=<&>","headers":{},"body":"","timestamp":1700000000000}`},
		{&HTTPRequest{RequestID: "r", Method: "PUT", URI: "/", Header: http.Header{"A": {"1", "2"}, "B": nil, "C": {""}}, Body: []byte{0xff, 0xfe}},
			`{"type":"http_request","request_id":"r","method":"PUT","uri":"/","headers":{"A":["1","2"],"C":[""]},"body":"//4=","timestamp":0}`},
		{&HTTPResponse{RequestID: "r", StatusCode: 204, ProcessingTimeMS: 12},
			`{"type":"http_response","request_id":"r","status_code":204,"headers":{},"body":"","processing_time_ms":12}`},
		{&ErrorMessage{RequestID: "r", Code: CodeTimeout, Message: "too slow"},
			`{"type":"error","request_id":"r","code":"timeout","message":"too slow"}`},
		{&ErrorMessage{Code: CodeInternal}, `{"type":"error","code":"internal_error","message":""}`},
		{&Ping{}, `{"type":"ping"}`},
		{&Pong{}, `{"type":"pong"}`},
	} {
		got, err := Encode(c.message)
		if err != nil {
			t.Errorf("%T: %v", c.message, err)
		}
		if string(got) != c.want {
			t.Errorf("%T:\ngot  %s\nwant %s", c.message, got, c.want)
		}
	}
}

func TestEncodeLeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	m := &HTTPRequest{RequestID: "r", Header: http.Header{"A": nil, "B": {"1"}}}
	if _, err := Encode(m); err != nil {
		t.Fatal(err)
	}
	if _, kept := m.Header["A"]; !kept || m.Body != nil {
		t.Errorf("message was changed to %+v", m)
	}
}

func TestEncodePanicsOnWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Encode(Ready{}) // not a pointer
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range []any{
		&Ready{},
		&Ready{Protocol: 2, Capabilities: []Capability{CapResume, "later"}, Agent: "culvert/1", TunnelID: "shop",
			Owner: "o", Proof: "p", Resume: "r", Epoch: 1<<62 + 1, Instance: "i"},
		&Established{ConnectionID: "c", TunnelID: "t", PublicURL: "u", Protocol: 2, Capabilities: []Capability{CapResume},
			Resume: "r", Epoch: 7, MaxAgeMS: 7_200_000, Backend: "relay"},
		&HTTPRequest{RequestID: "r", Method: "PROPFIND", URI: "/a%2Fb//?x=%zz", Header: http.Header{"Set-Cookie": {"a", "b"}, "X": {"<\"\\\u2028ä"}},
			Body: []byte("\x00\xff<body>"), Timestamp: 1<<53 + 1},
		&HTTPResponse{RequestID: "r", StatusCode: 999, Header: http.Header{}, Body: bytes.Repeat([]byte{1}, 100_000), ProcessingTimeMS: 1},
		&ErrorMessage{RequestID: "r", Code: "something_new", Message: "m"},
		&Ping{}, &Pong{},
	} {
		text, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(text, len(text))
		if err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestJSONRoundTripOfRandomBodies(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	for size := range 300 {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		text, err := Encode(&HTTPResponse{RequestID: "r", StatusCode: 200, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Decode(text, MaxRelayMessage)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*HTTPResponse).Body; !bytes.Equal(got, body) {
			t.Fatalf("body of %d bytes came back as %d", size, len(got))
		}
	}
}

// What other peers write and we take.
func TestDecodeIsLenient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       any
	}{
		{"unknown fields", `{"type":"ping","x":{"y":[1,null,{}]}}`, &Ping{}},
		{"type last, blanks", " \n{\"a\":1,\t\"type\" : \"pong\"} \r\n", &Pong{}},
		{"ready with fields of others", `{"type":"ready","version":"1","flag":true}`, &Ready{}},
		{"no body, no headers", `{"type":"http_request","request_id":"r","method":"GET","uri":"/"}`,
			&HTTPRequest{RequestID: "r", Method: "GET", URI: "/", Header: http.Header{}}},
		{"nulls", `{"type":"http_request","request_id":"r","method":"GET","uri":"/","headers":null,"body":null,"timestamp":null}`,
			&HTTPRequest{RequestID: "r", Method: "GET", URI: "/", Header: http.Header{}}},
		{"lone header values", `{"type":"http_response","request_id":"r","status_code":200,"headers":{"a":"1","b":["2","3"],"c":null,"d":[]}}`,
			&HTTPResponse{RequestID: "r", StatusCode: 200, Header: http.Header{"A": {"1"}, "B": {"2", "3"}}}},
		{"names in any case", `{"type":"http_response","request_id":"r","status_code":200,"headers":{"set-cookie":["c"],"SET-COOKIE":["a"],"Set-Cookie":"b"}}`,
			&HTTPResponse{RequestID: "r", StatusCode: 200, Header: http.Header{"Set-Cookie": {"a", "b", "c"}}}},
		{"escaped base64", `{"type":"http_response","request_id":"r","status_code":200,"body":"\/\/4="}`,
			&HTTPResponse{RequestID: "r", StatusCode: 200, Header: http.Header{}, Body: []byte{0xff, 0xfe}}},
		{"decoded path", `{"type":"http_request","request_id":"r","method":"GET","uri":"/a b/ä?q=\t\u0000"}`,
			&HTTPRequest{RequestID: "r", Method: "GET", URI: "/a%20b/%C3%A4?q=%09%00", Header: http.Header{}}},
		{"empty path", `{"type":"http_request","request_id":"r","method":"GET","uri":""}`,
			&HTTPRequest{RequestID: "r", Method: "GET", URI: "/", Header: http.Header{}}},
		{"query alone", `{"type":"http_request","request_id":"r","method":"GET","uri":"?a=b"}`,
			&HTTPRequest{RequestID: "r", Method: "GET", URI: "/?a=b", Header: http.Header{}}},
		{"asterisk", `{"type":"http_request","request_id":"r","method":"OPTIONS","uri":"*"}`,
			&HTTPRequest{RequestID: "r", Method: "OPTIONS", URI: "*", Header: http.Header{}}},
		{"error without request", `{"type":"error","code":"going_away","message":"restart"}`,
			&ErrorMessage{Code: CodeGoingAway, Message: "restart"}},
		{"gateway's own", `{"message":"Endpoint request timed out","connectionId":"c","requestId":"q"}`,
			&Unknown{Text: `{"message":"Endpoint request timed out","connectionId":"c","requestId":"q"}`}},
		{"unknown type", `{"type":"novelty","headers":7,"body":[]}`, &Unknown{Type: "novelty", Text: `{"type":"novelty","headers":7,"body":[]}`}},
		{"brackets and quotes in strings", `{"type":"error","code":"x","message":"` + strings.Repeat(`[{\"\\`, 100) + `"}`,
			&ErrorMessage{Code: "x", Message: strings.Repeat(`[{"\`, 100)}},
	} {
		got, err := Decode([]byte(c.text), MaxGatewayMessage)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Malformed messages that name no request: errors of the connection.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":                "",
		"blanks":                 "  \n",
		"null":                   "null",
		"list":                   `[{"type":"ping"}]`,
		"string":                 `"ping"`,
		"cut off":                `{"type":"ping"`,
		"cut off in a string":    `{"type":"pi`,
		"cut off in an escape":   `{"type":"pi\`,
		"two messages":           `{"type":"ping"}{"type":"ping"}`,
		"type of another type":   `{"type":5}`,
		"not UTF-8":              "{\"type\":\"\xff\"}",
		"request without id":     `{"type":"http_request","method":"GET","uri":"/"}`,
		"request with number id": `{"type":"http_request","request_id":5,"method":"GET","uri":"/"}`,
		"long id":                `{"type":"http_request","request_id":"` + strings.Repeat("x", maxRequestID+1) + `","method":"GET","uri":"/"}`,
		"ready with text number": `{"type":"ready","protocol":"2"}`,
		"established, no ID":     `{"type":"connection_established","public_url":"u"}`,
		"error without code":     `{"type":"error","message":"m"}`,
		"deep":                   `{"type":"ping","x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`,
		"large ready":            `{"type":"ready","agent":"` + strings.Repeat("x", MaxControlMessage) + `"}`,
	} {
		_, err := Decode([]byte(text), MaxGatewayMessage)
		var m *MessageError
		if !errors.Is(err, ErrProtocol) || errors.As(err, &m) {
			t.Errorf("%s: error %v, want a plain protocol error", name, err)
		}
	}
	if _, err := Decode([]byte(`{"type":"ping"}`), 14); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := Decode([]byte(`{"type":"ping"}`), 15); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := Decode([]byte(`{"type":"ping","x":`+strings.Repeat("[", maxDepth-1)+strings.Repeat("]", maxDepth-1)+`}`), 1000); err != nil {
		t.Errorf("at the depth limit: %v", err)
	}
}

// Malformed messages that name a request cost that request.
func TestDecodeFailsOneRequest(t *testing.T) {
	t.Parallel()
	many := `"` + strings.Repeat(`x","`, MaxFields) + `x"`
	for name, c := range map[string]struct {
		typ    MessageType
		fields string
	}{
		"no method":           {TypeHTTPRequest, `"uri":"/"`},
		"method is no token":  {TypeHTTPRequest, `"method":"GE T","uri":"/"`},
		"method is a number":  {TypeHTTPRequest, `"method":1,"uri":"/"`},
		"no uri":              {TypeHTTPRequest, `"method":"GET"`},
		"absolute uri":        {TypeHTTPRequest, `"method":"GET","uri":"http://evil/"`},
		"CRLF in a header":    {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a":["b\r\nc: d"]}`},
		"NUL in a header":     {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a":"\u0000"}`},
		"bad header name":     {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a b":["c"]}`},
		"empty header name":   {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"":["c"]}`},
		"header of a number":  {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a":1}`},
		"header of numbers":   {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a":[1]}`},
		"headers is a list":   {TypeHTTPRequest, `"method":"GET","uri":"/","headers":[]`},
		"too many headers":    {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a":[` + many + `]}`},
		"headers too large":   {TypeHTTPRequest, `"method":"GET","uri":"/","headers":{"a":"` + strings.Repeat("x", maxHeaders) + `"}`},
		"body no base64":      {TypeHTTPRequest, `"method":"GET","uri":"/","body":"*"`},
		"body without pads":   {TypeHTTPRequest, `"method":"GET","uri":"/","body":"//4"`},
		"body is a number":    {TypeHTTPRequest, `"method":"GET","uri":"/","body":7`},
		"timestamp is text":   {TypeHTTPRequest, `"method":"GET","uri":"/","timestamp":"1"`},
		"timestamp is large":  {TypeHTTPRequest, `"method":"GET","uri":"/","timestamp":18446744073709551615`},
		"no status":           {TypeHTTPResponse, `"headers":{}`},
		"status 199":          {TypeHTTPResponse, `"status_code":199`},
		"status 1000":         {TypeHTTPResponse, `"status_code":1000`},
		"status -1":           {TypeHTTPResponse, `"status_code":-1`},
		"status is a float":   {TypeHTTPResponse, `"status_code":200.5`},
		"status is text":      {TypeHTTPResponse, `"status_code":"200"`},
		"error without code":  {TypeError, `"message":"m"`},
		"error is too large":  {TypeError, `"code":"x","message":"` + strings.Repeat("x", MaxControlMessage) + `"`},
		"error code a number": {TypeError, `"code":1`},
	} {
		text := `{"type":"` + string(c.typ) + `","request_id":"r1",` + c.fields + `}`
		if !json.Valid([]byte(text)) {
			t.Fatalf("%s: the test is broken", name)
		}
		_, err := Decode([]byte(text), MaxRelayMessage)
		var m *MessageError
		if !errors.As(err, &m) || m.RequestID != "r1" || m.Type != c.typ || !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: error %v, want a *MessageError", name, err)
		}
	}
}

func TestUnknownIsCutAndClean(t *testing.T) {
	t.Parallel()
	text := `{"type":"` + strings.Repeat("ä", 1000) + `"}`
	m, err := Decode([]byte(text), MaxGatewayMessage)
	if err != nil {
		t.Fatal(err)
	}
	u := m.(*Unknown)
	if len(u.Text) > maxUnknownText || len(u.Type) > maxUnknownText || !strings.HasPrefix(text, u.Text) {
		t.Errorf("unknown message %+v", u)
	}
}

// The largest body of a relay fits its message limit, heads included.
func TestLargestRelayBodyFits(t *testing.T) {
	t.Parallel()
	text, err := Encode(&HTTPResponse{RequestID: "r", StatusCode: 200, Body: make([]byte, MaxRelayBody),
		Header: http.Header{"X": {strings.Repeat("x", 64<<10)}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(text, MaxRelayMessage); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range []any{
		&Ready{Protocol: 2, TunnelID: "t"}, &Established{ConnectionID: "c", TunnelID: "t", PublicURL: "u"},
		&HTTPRequest{RequestID: "r", Method: "GET", URI: "/a", Header: http.Header{"A": {"b"}}, Body: []byte("x")},
		&HTTPResponse{RequestID: "r", StatusCode: 200}, &ErrorMessage{RequestID: "r", Code: CodeTimeout}, &Ping{}, &Pong{},
		&Notice{ID: "n", Data: json.RawMessage(`{"a":1}`)}, &Action{Action: "a", ID: "1", Data: json.RawMessage("1")},
		DoneAction(&Action{Action: "a"}, nil), FailedAction(&Action{Action: "a"}, &ActionError{Code: CodeTimeout}),
	} {
		text, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"type":"http_request","request_id":"r","method":"GET","uri":"?a b","headers":{"a":"b","A":["c"]},"body":"\/w=="}`))
	f.Add([]byte(`{"message":"Endpoint request timed out"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		const limit = 64 << 10
		m, err := Decode(text, limit)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v is no protocol error", err)
			}
			return
		}
		if u, ok := m.(*Unknown); ok {
			if len(u.Text) > maxUnknownText {
				t.Fatalf("unknown message keeps %d bytes", len(u.Text))
			}
			return
		}
		// What was understood is understood again in our own words.
		again, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		m2, err := Decode(again, 10*limit)
		if err != nil {
			t.Fatalf("our own %s: %v", again, err)
		}
		if diff := cmp.Diff(m, m2); diff != "" {
			t.Fatal(diff)
		}
	})
}
