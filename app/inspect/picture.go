package inspect

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

const (
	// maxPixels bounds what an image is decoded to: four bytes a pixel.
	maxPixels = 40_000_000
	// maxShown is the longest side of what is drawn: more pixels than most windows.
	maxShown = 2048
)

// formats are the images that are shown, by how they begin.
var formats = []struct {
	name   string
	is     func(p []byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}{
	{"PNG", begins("\x89PNG\r\n\x1a\n"), png.DecodeConfig, png.Decode},
	{"JPEG", begins("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode},
	{"GIF", begins("GIF8"), gif.DecodeConfig, gif.Decode},
	{"WebP", func(p []byte) bool {
		return len(p) > 12 && string(p[:4]) == "RIFF" && string(p[8:12]) == "WEBP"
	}, webp.DecodeConfig, webp.Decode},
}

func begins(with string) func([]byte) bool {
	return func(p []byte) bool { return bytes.HasPrefix(p, []byte(with)) }
}

func imageFormat(p []byte) string {
	for _, f := range formats {
		if f.is(p) {
			return f.name
		}
	}
	return ""
}

// picture decodes the image, and is false if it cannot be shown: then there is a
// note.
func (v *View) picture(ctx context.Context) bool {
	for _, f := range formats {
		if f.name != v.Format {
			continue
		}
		config, err := f.config(bytes.NewReader(v.body))
		if err != nil || config.Width <= 0 || config.Height <= 0 {
			break
		}
		v.Width, v.Height = config.Width, config.Height
		size := Note{A: int64(config.Width), B: int64(config.Height), Text: f.name}
		if size.A > maxPixels || size.B > maxPixels || size.A*size.B > maxPixels {
			size.Kind = ImageTooLarge
			v.Notes = append(v.Notes, size)
			return false
		}
		img, err := decodeImage(&whileWanted{ctx, bytes.NewReader(v.body)}, f.decode)
		if err != nil {
			break
		}
		if v.Image = shrink(img); v.Image != img {
			size.Kind = ImageScaled
			v.Notes = append(v.Notes, size)
		}
		return true
	}
	v.Notes = append(v.Notes, Note{Kind: ImageBroken, Text: v.Format})
	return false
}

// decodeImage survives decoders that panic: they are not ours, and the image may
// have been made for it.
func decodeImage(r io.Reader, decode func(io.Reader) (image.Image, error)) (img image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the decoder of images has failed: %v", p)
		}
	}()
	return decode(r)
}

// whileWanted ends with its context.
type whileWanted struct {
	ctx context.Context
	io.Reader
}

func (w *whileWanted) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	// In small steps: decoders read in large ones.
	return w.Reader.Read(p[:min(len(p), 32<<10)])
}

// shrink scales an image down to what can be shown.
func shrink(img image.Image) image.Image {
	width, height := img.Bounds().Dx(), img.Bounds().Dy()
	if width <= maxShown && height <= maxShown {
		return img
	}
	scale := float64(maxShown) / float64(max(width, height))
	small := image.NewNRGBA(image.Rect(0, 0, max(1, int(float64(width)*scale)), max(1, int(float64(height)*scale))))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	return small
}
