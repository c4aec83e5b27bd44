package inspect

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"culvert/app/coding"
	"culvert/app/exchange"
)

// Kind is what a body is.
type Kind int

// The kinds of bodies.
const (
	Empty Kind = iota
	JSON
	Form
	Multipart
	Markup // HTML and XML, as text
	Text
	Image
	Binary
)

// decode undoes the content codings.
func (v *View) decode(ctx context.Context, m exchange.Message) {
	codings := strings.Join(coding.Of(m.Header), ", ")
	b := coding.Decode(ctx, m.Header, m.Body, maxBody)
	v.body = b.Data
	switch {
	case codings == "":
		v.body = m.Body
	case len(b.Codings) == 0:
		v.Notes = append(v.Notes, Note{Kind: NotDecoded, Text: codings})
	case b.Limited:
		v.Notes = append(v.Notes, Note{Kind: TooLong, A: maxBody, Text: codings})
		v.cut = true
	case b.Err != nil && !m.Truncated:
		v.Notes = append(v.Notes, Note{Kind: DecodedInPart, A: int64(len(b.Data)), Text: codings})
		v.cut = true
	default:
		v.Notes = append(v.Notes, Note{Kind: Decoded, A: int64(len(m.Body)), B: int64(len(b.Data)), Text: codings})
	}
	if len(v.body) > maxBody {
		v.body, v.cut = v.body[:maxBody], true
		v.Notes = append(v.Notes, Note{Kind: TooLong, A: maxBody})
	}
}

// recognise finds out what the body is: by what it is said to be, and by a look.
func (v *View) recognise(contentType string) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		media = strings.TrimSpace(media)
	}
	family, sub, _ := strings.Cut(media, "/")
	said := family == "text" || strings.HasSuffix(sub, "json") || strings.HasSuffix(sub, "xml") ||
		strings.HasSuffix(sub, "javascript") || sub == "x-www-form-urlencoded" || sub == "graphql" || sub == "yaml"
	if format := imageFormat(v.body); format != "" && !said {
		v.Kind, v.Format = Image, format
		return
	}
	if family == "multipart" {
		v.Kind = Multipart
		return
	}
	if said {
		v.text = v.convert(contentType)
	} else {
		v.text = decodeText("", v.body)
	}
	first := bytes.TrimLeft(v.text, " \t\r\n")
	switch {
	case v.text == nil:
		v.Kind = Binary
		if family == "image" {
			v.Notes = append(v.Notes, Note{Kind: ImageBroken, Text: strings.ToUpper(sub)})
		}
	case strings.HasSuffix(sub, "json"):
		v.Kind = JSON
	case sub == "x-www-form-urlencoded":
		v.Kind = Form
	case sub == "html" || strings.HasSuffix(sub, "xml"):
		v.Kind = Markup
	case (sub == "plain" || !said) && len(first) > 1 && (first[0] == '{' || first[0] == '[') && v.beginsAsJSON():
		v.Kind = JSON
	default:
		v.Kind = Text
	}
}

// beginsAsJSON looks at some lines of what does not say that it is JSON.
func (v *View) beginsAsJSON() bool {
	s := jsonScanner{src: v.text}
	for range 64 {
		_, more, whole, err := s.next()
		if err != nil || !more {
			return err == nil && (whole || v.cut)
		}
	}
	return true
}

// convert makes UTF-8 of what says that it is text.
func (v *View) convert(contentType string) []byte {
	if text := decodeText(contentType, v.body); text != nil {
		return text
	}
	encoding, name, _ := charset.DetermineEncoding(v.body[:min(len(v.body), 1024)], contentType)
	if name == "utf-8" {
		return v.body // and what is wrong in it is shown as such
	}
	text, err := encoding.NewDecoder().Bytes(v.body)
	if err != nil {
		return v.body
	}
	v.Notes = append(v.Notes, Note{Kind: Charset, Text: name})
	return bytes.TrimPrefix(text[:min(len(text), 2*maxBody)], byteOrderMark)
}

var byteOrderMark = []byte("\ufeff")

// decodeText is a body that is text in UTF-8, or nil. What says that it is another
// character set, or that has what text does not, is none.
func decodeText(contentType string, p []byte) []byte {
	if _, parameters, err := mime.ParseMediaType(contentType); err == nil {
		switch strings.ToLower(parameters["charset"]) {
		case "", "utf-8", "utf8", "us-ascii", "ascii":
		default:
			return nil
		}
	}
	if !utf8.Valid(p) {
		// The last rune may have been cut.
		end := len(p)
		for i := 1; i < utf8.UTFMax && i < len(p); i++ {
			if utf8.RuneStart(p[len(p)-i]) {
				if !utf8.FullRune(p[len(p)-i:]) {
					end = len(p) - i
				}
				break
			}
		}
		if end == len(p) || !utf8.Valid(p[:end]) {
			return nil
		}
		p = p[:end]
	}
	if contentType == "" {
		for _, c := range p[:min(len(p), 1024)] {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
				return nil
			}
		}
	}
	return bytes.TrimPrefix(p, byteOrderMark)
}

// closeText is a Close frame's status and words.
func closeText(p []byte) []byte {
	return fmt.Appendf(nil, "%d %s", binary.BigEndian.Uint16(p), p[2:])
}
