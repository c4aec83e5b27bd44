package editor

import (
	"bytes"
	"image"
	"image/color"
	"image/png"

	qrcode "github.com/skip2/go-qrcode"
)

// qr is a QR code with the quiet zone of four modules around it that readers need
// (ISO/IEC 18004, 9.1).
type qr struct{ modules [][]bool }

// newQR encodes a text, which must not be longer than some 2,900 bytes. Where it makes
// no code larger, up to a fourth of it may be unreadable: fingers and reflections are
// often in the way.
func newQR(text string) (*qr, error) {
	c, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		if c, err = qrcode.New(text, qrcode.Low); err != nil {
			return nil, err
		}
	}
	return &qr{c.Bitmap()}, nil
}

// size is the length of a side in modules.
func (q *qr) size() int { return len(q.modules) }

// image draws the code black on white, whatever the theme: many readers take no
// other. Every module is scale pixels wide.
func (q *qr) image(scale int) *image.Paletted {
	n := q.size() * scale
	img := image.NewPaletted(image.Rect(0, 0, n, n), color.Palette{white, black})
	for y := range n {
		row := img.Pix[y*img.Stride : y*img.Stride+n]
		for x := range row {
			if q.modules[y/scale][x/scale] {
				row[x] = 1
			}
		}
	}
	return img
}

// printSize is about how large a saved picture is: enough for a slide or a sheet of paper.
const printSize = 1024

// png is a picture to be saved.
func (q *qr) png() ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, q.image(max(printSize/q.size(), 1))); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

var white, black = color.NRGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}, color.NRGBA{A: 0xff}
