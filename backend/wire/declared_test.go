package wire

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func pointer(n int) *int { return &n }

// declaredMessages are what only peers that have declared something exchange.
var declaredMessages = []struct {
	message any
	text    string
}{
	{&HTTPRequest{RequestID: "r", Method: "GET", URI: "/", Header: http.Header{}, Body: []byte("ab"), More: true, Encoding: EncodingGzip, BodySize: 5, TimeoutMS: 28000},
		`{"type":"http_request","request_id":"r","method":"GET","uri":"/","headers":{},"body":"YWI=","timestamp":0,"more":true,"encoding":"gzip","body_size":5,"timeout_ms":28000}`},
	{&HTTPRequest{RequestID: "r", Method: "PUT", URI: "/", Header: http.Header{}, BodySize: 7, BodyURL: "https://s3.test/k?X-Amz-Signature=s",
		Upload: &Upload{URL: "https://s3.test/", Fields: map[string]string{"key": "k", "policy": "p=="}, MaxBytes: MaxBlob}},
		`{"type":"http_request","request_id":"r","method":"PUT","uri":"/","headers":{},"body":"","timestamp":0,"body_size":7,"body_url":"https://s3.test/k?X-Amz-Signature=s",` +
			`"upload":{"url":"https://s3.test/","fields":{"key":"k","policy":"p=="},"max_bytes":209715200}}`},
	{&HTTPRequest{RequestID: "r", Method: "GET", URI: "/", Header: http.Header{}, Stream: true, Credit: 8},
		`{"type":"http_request","request_id":"r","method":"GET","uri":"/","headers":{},"body":"","timestamp":0,"stream":true,"credit":8}`},
	{&HTTPResponse{RequestID: "r", StatusCode: 200, Header: http.Header{}, Session: "s", More: true, Encoding: EncodingGzip, BodySize: MaxParts, Resent: true},
		`{"type":"http_response","request_id":"r","status_code":200,"headers":{},"body":"","processing_time_ms":0,"session":"s","more":true,"encoding":"gzip","body_size":6291456,"resent":true}`},
	{&HTTPResponse{RequestID: "r", StatusCode: 200, Header: http.Header{}, Session: "s", BodySize: MaxBlob, Uploaded: true},
		`{"type":"http_response","request_id":"r","status_code":200,"headers":{},"body":"","processing_time_ms":0,"session":"s","body_size":209715200,"uploaded":true}`},
	{&HTTPResponse{RequestID: "r", StatusCode: 200, Header: http.Header{}, Session: "s", More: true}, // a stream
		`{"type":"http_response","request_id":"r","status_code":200,"headers":{},"body":"","processing_time_ms":0,"session":"s","more":true}`},
	{&ErrorMessage{RequestID: "r", Code: CodeTimeout, Message: "m", Session: "s", Resent: true},
		`{"type":"error","request_id":"r","code":"timeout","message":"m","session":"s","resent":true}`},
	{&Ping{Session: "s"}, `{"type":"ping","session":"s"}`},
	{&Chunk{RequestID: "r", Seq: 1, Body: []byte{0xff, 0xfe}}, `{"type":"chunk","request_id":"r","seq":1,"body":"//4="}`},
	{&Chunk{RequestID: "r", Seq: MaxSeq, Last: true, Session: "s", Resent: true},
		`{"type":"chunk","request_id":"r","seq":1073741824,"last":true,"body":"","session":"s","resent":true}`},
	{&Resend{RequestID: "r", From: pointer(0)}, `{"type":"resend","request_id":"r","from":0}`},
	{&Resend{RequestID: "r", Seqs: []int{0, 5, 2}, From: pointer(9), Session: "s"},
		`{"type":"resend","request_id":"r","seqs":[0,5,2],"from":9,"session":"s"}`},
	{&Credit{RequestID: "r", Upto: 16}, `{"type":"credit","request_id":"r","upto":16}`},
	{&Cancel{RequestID: "r"}, `{"type":"cancel","request_id":"r"}`},
	{&Established{ConnectionID: "c", TunnelID: "t", PublicURL: "u", Session: "s", StreamURL: "https://f.test/t"},
		`{"type":"connection_established","connection_id":"c","tunnel_id":"t","public_url":"u","session":"s","stream_url":"https://f.test/t"}`},
}

func TestDeclaredMessages(t *testing.T) {
	t.Parallel()
	for _, c := range declaredMessages {
		text, err := Encode(c.message)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != c.text {
			t.Errorf("%T:\ngot  %s\nwant %s", c.message, text, c.text)
		}
		got, err := DecodeDeclared([]byte(c.text), len(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(c.message, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Peers that have declared nothing are understood by the table alone.
func TestDecodeKnowsTheTableOnly(t *testing.T) {
	t.Parallel()
	table := map[string]bool{
		"type": true, "request_id": true, "method": true, "uri": true, "headers": true, "body": true, "timestamp": true,
		"status_code": true, "processing_time_ms": true, "code": true, "message": true,
	}
	for _, c := range declaredMessages {
		if _, handshake := c.message.(*Established); handshake {
			continue
		}
		got, err := Decode([]byte(c.text), len(c.text))
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		if u, unknown := got.(*Unknown); unknown {
			switch u.Type {
			case TypeChunk, TypeResend, TypeCredit, TypeCancel:
				continue
			}
		}
		text, err := Encode(got)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if !table[name] {
				t.Errorf("%s was understood as %s", c.text, text)
			}
		}
	}
	// Not even a field of the same name with another meaning matters.
	odd := `"session":1,"more":"x","encoding":[],"body_size":-1,"body_url":{},"upload":0,"timeout_ms":"","stream":2,"credit":null,"uploaded":5,"resent":"no"}`
	for _, text := range []string{
		`{"type":"http_request","request_id":"r","method":"GET","uri":"/",` + odd,
		`{"type":"http_response","request_id":"r","status_code":200,` + odd,
		`{"type":"error","request_id":"r","code":"timeout",` + odd,
		`{"type":"ping",` + odd,
		`{"type":"pong",` + odd,
	} {
		if _, err := Decode([]byte(text), len(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The table's messages mean the same to those who know more.
func TestDeclaredPeersKnowTheTable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"type":"http_request","request_id":"r","method":"GET","uri":"/a b","headers":{"a":"1"},"body":"YQ==","timestamp":5}`,
		`{"type":"http_request","request_id":"r","method":"GET","uri":"/","session":null,"more":null,"encoding":null,"body_size":null,"body_url":null,"upload":null,"timeout_ms":null,"stream":null,"credit":null}`,
		`{"type":"http_response","request_id":"r","status_code":200,"headers":{},"body":"YQ==","processing_time_ms":5,"resent":false}`,
		`{"type":"error","code":"going_away","message":"m"}`, `{"type":"ping"}`, `{"type":"pong"}`, `{"type":"weather"}`,
		`{"message":"Endpoint request timed out"}`, `{"type":"ready","protocol":2}`,
	} {
		want, err := Decode([]byte(text), len(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeDeclared([]byte(text), len(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestDeclaredMessagesThatFailOneRequest(t *testing.T) {
	t.Parallel()
	const (
		request = `"method":"GET","uri":"/",`
		answer  = `"status_code":200,`
		blob    = `"body_url":"https://s3.test/k","body_size":5`
		upload  = `"upload":{"url":"https://s3.test/","fields":{"key":"k"},"max_bytes":5}`
	)
	if _, err := DecodeDeclared([]byte(`{"type":"http_request","request_id":"r",`+request+blob+`,`+upload+`}`), MaxGatewayMessage); err != nil {
		t.Fatal(err) // the pieces are right where they are not made wrong
	}
	many := func(n int, one func(int) string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = one(i)
		}
		return strings.Join(all, ",")
	}
	for name, c := range map[string]struct {
		typ    MessageType
		fields string
	}{
		"more is a number":            {TypeHTTPRequest, request + `"more":1,"body_size":5`},
		"more without size":           {TypeHTTPRequest, request + `"more":true`},
		"gzip without size":           {TypeHTTPRequest, request + `"encoding":"gzip"`},
		"size of what is here":        {TypeHTTPRequest, request + `"body":"YQ==","body_size":1`},
		"size over 6 MB":              {TypeHTTPRequest, request + `"more":true,"body_size":6291457`},
		"size is negative":            {TypeHTTPRequest, request + `"more":true,"body_size":-1`},
		"size is a float":             {TypeHTTPRequest, request + `"more":true,"body_size":5.0`},
		"another encoding":            {TypeHTTPRequest, request + `"encoding":"br","body_size":5`},
		"encoding is a list":          {TypeHTTPRequest, request + `"encoding":["gzip"],"body_size":5`},
		"body and body_url":           {TypeHTTPRequest, request + `"body":"YQ==",` + blob},
		"more and body_url":           {TypeHTTPRequest, request + `"more":true,` + blob},
		"gzip and body_url":           {TypeHTTPRequest, request + `"encoding":"gzip",` + blob},
		"body_url without size":       {TypeHTTPRequest, request + `"body_url":"https://s3.test/k"`},
		"blob over 200 MB":            {TypeHTTPRequest, request + `"body_url":"https://s3.test/k","body_size":209715201`},
		"body_url is relative":        {TypeHTTPRequest, request + `"body_url":"/k","body_size":5`},
		"body_url of a file":          {TypeHTTPRequest, request + `"body_url":"file:///etc/passwd","body_size":5`},
		"body_url with a user":        {TypeHTTPRequest, request + `"body_url":"https://u:p@s3.test/k","body_size":5`},
		"body_url without host":       {TypeHTTPRequest, request + `"body_url":"https:///k","body_size":5`},
		"body_url with a line":        {TypeHTTPRequest, request + `"body_url":"https://s3.test/k\r\nX: y","body_size":5`},
		"body_url is long":            {TypeHTTPRequest, request + `"body_url":"https://s3.test/` + strings.Repeat("k", MaxURL) + `","body_size":5`},
		"upload is text":              {TypeHTTPRequest, request + `"upload":"https://s3.test/"`},
		"upload without URL":          {TypeHTTPRequest, request + `"upload":{"fields":{},"max_bytes":5}`},
		"upload without size":         {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","fields":{}}`},
		"upload of a negative size":   {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","fields":{},"max_bytes":-5}`},
		"upload with a number":        {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","fields":{"a":1},"max_bytes":5}`},
		"upload with CRLF in a field": {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","fields":{"a":"b\r\nc"},"max_bytes":5}`},
		"upload with a quoted name":   {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","fields":{"a\"":"b"},"max_bytes":5}`},
		"upload of many fields": {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","max_bytes":5,"fields":{` +
			many(MaxUploadFields+1, func(i int) string { return `"a` + strings.Repeat("x", i) + `":""` }) + `}}`},
		"upload of large fields": {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","max_bytes":5,"fields":{"a":"` + strings.Repeat("x", MaxUploadForm) + `"}}`},
		"upload of huge fields":  {TypeHTTPRequest, request + `"upload":{"url":"https://s3.test/","max_bytes":5,"fields":{"a":"` + strings.Repeat("x", 110<<10) + `"}}`},
		"timeout over a day":     {TypeHTTPRequest, request + `"timeout_ms":86400001`},
		"timeout is negative":    {TypeHTTPRequest, request + `"timeout_ms":-1`},
		"stream is text":         {TypeHTTPRequest, request + `"stream":"yes"`},
		"credit without stream":  {TypeHTTPRequest, request + `"credit":8`},
		"stream without credit":  {TypeHTTPRequest, request + `"stream":true`},
		"credit is large":        {TypeHTTPRequest, request + `"stream":true,"credit":65`},
		"session is a number":    {TypeHTTPResponse, answer + `"session":5`},
		"session is long":        {TypeHTTPResponse, answer + `"session":"` + strings.Repeat("s", MaxSession+1) + `"`},
		"answer, gzip, no size":  {TypeHTTPResponse, answer + `"encoding":"gzip"`},
		"answer, size over 6 MB": {TypeHTTPResponse, answer + `"more":true,"body_size":6291457`},
		"answer, size alone":     {TypeHTTPResponse, answer + `"body_size":5`},
		"uploaded without size":  {TypeHTTPResponse, answer + `"uploaded":true`},
		"uploaded and a body":    {TypeHTTPResponse, answer + `"uploaded":true,"body_size":1,"body":"YQ=="`},
		"uploaded and more":      {TypeHTTPResponse, answer + `"uploaded":true,"body_size":1,"more":true`},
		"uploaded is a number":   {TypeHTTPResponse, answer + `"uploaded":1,"body_size":1`},
		"resent is text":         {TypeHTTPResponse, answer + `"resent":"true"`},
		"error, session":         {TypeError, `"code":"timeout","session":[]`},
		"chunk 0":                {TypeChunk, `"seq":0,"body":"YQ=="`},
		"chunk without number":   {TypeChunk, `"body":"YQ=="`},
		"chunk -1":               {TypeChunk, `"seq":-1,"body":"YQ=="`},
		"chunk far away":         {TypeChunk, `"seq":1073741825,"body":"YQ=="`},
		"chunk 1.5":              {TypeChunk, `"seq":1.5,"body":"YQ=="`},
		"chunk of nothing":       {TypeChunk, `"seq":1,"body":""`},
		"chunk, no base64":       {TypeChunk, `"seq":1,"body":"*"`},
		"chunk, last is text":    {TypeChunk, `"seq":1,"body":"YQ==","last":"true"`},
		"resend of nothing":      {TypeResend, `"seqs":[]`},
		"resend of text":         {TypeResend, `"seqs":"1"`},
		"resend of -1":           {TypeResend, `"seqs":[-1]`},
		"resend of far away":     {TypeResend, `"seqs":[1073741825]`},
		"resend of a float":      {TypeResend, `"seqs":[1.5]`},
		"resend of many":         {TypeResend, `"seqs":[` + many(MaxWanted+1, func(int) string { return "1" }) + `]`},
		"resend from -1":         {TypeResend, `"from":-1`},
		"resend from text":       {TypeResend, `"from":"0"`},
		"resend is large":        {TypeResend, `"from":0,"x":"` + strings.Repeat("x", MaxControlMessage) + `"`},
		"credit to -1":           {TypeCredit, `"upto":-1`},
		"credit to text":         {TypeCredit, `"upto":"8"`},
		"credit to far away":     {TypeCredit, `"upto":1073741825`},
	} {
		text := `{"type":"` + string(c.typ) + `","request_id":"r1",` + c.fields + `}`
		if !json.Valid([]byte(text)) {
			t.Fatalf("%s: the test is broken: %s", name, text)
		}
		_, err := DecodeDeclared([]byte(text), MaxGatewayMessage)
		var m *MessageError
		if !errors.As(err, &m) || m.RequestID != "r1" || m.Type != c.typ || !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: error %v, want a *MessageError", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3.test") {
			t.Errorf("%s: error %v shows a URL, which is a secret", name, err)
		}
	}
}

func TestDeclaredMessagesThatFailTheConnection(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"chunk without request":   `{"type":"chunk","seq":1,"body":"YQ=="}`,
		"resend without request":  `{"type":"resend","from":0}`,
		"credit without request":  `{"type":"credit","upto":8}`,
		"cancel without request":  `{"type":"cancel"}`,
		"ping with a number":      `{"type":"ping","session":5}`,
		"ping with a long one":    `{"type":"ping","session":"` + strings.Repeat("s", MaxSession+1) + `"}`,
		"established, long token": `{"type":"connection_established","tunnel_id":"t","public_url":"u","session":"` + strings.Repeat("s", MaxSession+1) + `"}`,
	} {
		_, err := DecodeDeclared([]byte(text), MaxGatewayMessage)
		var m *MessageError
		if !errors.Is(err, ErrProtocol) || errors.As(err, &m) {
			t.Errorf("%s: error %v, want a plain protocol error", name, err)
		}
	}
}

func TestResendWants(t *testing.T) {
	t.Parallel()
	r := &Resend{Seqs: []int{0, 3}, From: pointer(7)}
	for seq, want := range map[int]bool{0: true, 1: false, 3: true, 6: false, 7: true, 100: true} {
		if r.Wants(seq) != want {
			t.Errorf("Wants(%d) = %v", seq, !want)
		}
	}
	if (&Resend{}).Wants(0) {
		t.Error("nothing is wanted, and 0 is")
	}
}

func FuzzDecodeDeclared(f *testing.F) {
	for _, c := range declaredMessages {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const limit = 64 << 10
		m, err := DecodeDeclared(text, limit)
		plain, plainErr := Decode(text, limit)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("error %v is no protocol error", err)
			}
			return
		}
		if plainErr != nil {
			t.Fatalf("the table's decoder refuses what the other takes: %v", plainErr)
		}
		if u, ok := m.(*Unknown); ok {
			if diff := cmp.Diff(u, plain); diff != "" {
				t.Fatal(diff)
			}
			return
		}
		again, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		m2, err := DecodeDeclared(again, 10*limit)
		if err != nil {
			t.Fatalf("our own %s: %v", again, err)
		}
		if diff := cmp.Diff(m, m2); diff != "" {
			t.Fatal(diff)
		}
	})
}
