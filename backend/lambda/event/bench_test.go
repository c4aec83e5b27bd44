package event

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// A function with little memory has a small part of a processor: what a body costs
// here, a visitor waits for many times over.
func BenchmarkLargeBodies(b *testing.B) {
	body := bytes.Repeat([]byte{0, 1, 2, 0xff}, 1<<20)
	text := http2(object{"body": base64.StdEncoding.EncodeToString(body), "isBase64Encoded": true})
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		a := Answer{Status: 200, Body: body}
		for b.Loop() {
			if _, err := a.Encode(HTTPv2); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode text", func(b *testing.B) {
		a := Answer{Status: 200, Body: bytes.Repeat([]byte("text \n"), 1<<19)}
		b.SetBytes(int64(len(a.Body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Encode(HTTPv2); err != nil {
				b.Fatal(err)
			}
		}
	})
}
