package inspect

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/app/exchange"
)

func drawn(width, height int) image.Image {
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.White, color.Black})
	img.SetColorIndex(0, 0, 1)
	return img
}

func encoded(t testing.TB, format string, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch format {
	case "PNG":
		err = png.Encode(&out, img)
	case "JPEG":
		err = jpeg.Encode(&out, img, nil)
	case "GIF":
		err = gif.Encode(&out, img, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// smallWebP is one pixel, lossless.
const smallWebP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="

func TestImages(t *testing.T) {
	t.Parallel()
	webp, err := base64.StdEncoding.DecodeString(smallWebP)
	if err != nil {
		t.Fatal(err)
	}
	for format, body := range map[string][]byte{
		"PNG":  encoded(t, "PNG", drawn(7, 5)),
		"JPEG": encoded(t, "JPEG", drawn(7, 5)),
		"GIF":  encoded(t, "GIF", drawn(7, 5)),
		"WebP": webp,
	} {
		for _, kind := range []string{"image/x", "application/octet-stream", ""} {
			v := open(t, typed(kind, string(body)), Pretty)
			if v.Kind != Image || v.Image == nil || v.Format != format || v.Len() != 0 || len(v.Notes) > 0 {
				t.Errorf("%s as %q: kind %d, %v, %d rows, %v", format, kind, v.Kind, v.Format, v.Len(), v.Notes)
				continue
			}
			if b := v.Image.Bounds(); b.Dx() != v.Width || b.Dy() != v.Height || v.Width == 0 {
				t.Errorf("%s: %v of %d × %d", format, b, v.Width, v.Height)
			}
		}
		if v := open(t, typed("image/png", string(body)), Hex); v.Image != nil || v.Len() == 0 {
			t.Errorf("%s byte by byte: %d rows", format, v.Len())
		}
		if text := copied(t, open(t, typed("image/png", string(body)), Pretty)); !strings.HasPrefix(text, "00000000  ") {
			t.Errorf("%s, copied: %.40q", format, text)
		}
		if v := open(t, typed("text/plain", string(body)), Pretty); v.Image != nil || v.Kind == Image {
			t.Errorf("%s as text: kind %d", format, v.Kind)
		}
	}
}

// sized is the head of a PNG of that size, without pixels.
func sized(width, height uint32) []byte {
	chunk := append([]byte("IHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(chunk[4:], width)
	binary.BigEndian.PutUint32(chunk[8:], height)
	chunk[12], chunk[13] = 8, 6
	out := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	out = append(out, chunk...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
}

func TestImagesThatAreNotShown(t *testing.T) {
	t.Parallel()
	whole := encoded(t, "PNG", drawn(300, 300))
	tests := []struct {
		name string
		body []byte
		want Note
	}{
		{"large", sized(20_000, 20_000), Note{ImageTooLarge, 20_000, 20_000, "PNG"}},
		{"long", sized(1<<26, 1), Note{ImageTooLarge, 1 << 26, 1, "PNG"}},
		{"cut", whole[:len(whole)-20], Note{Kind: ImageBroken, Text: "PNG"}},
		{"only a head", []byte("\x89PNG\r\n\x1a\n"), Note{Kind: ImageBroken, Text: "PNG"}},
		{"empty", sized(0, 1), Note{Kind: ImageBroken, Text: "PNG"}},
	}
	for _, test := range tests {
		v := open(t, typed("image/png", string(test.body)), Pretty)
		if v.Image != nil || v.Kind != Image || v.Len() == 0 {
			t.Errorf("%s: kind %d, %d rows", test.name, v.Kind, v.Len())
		}
		if diff := cmp.Diff([]Note{test.want}, v.Notes); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestLargeImagesAreScaled(t *testing.T) {
	t.Parallel()
	v := open(t, typed("image/png", string(encoded(t, "PNG", drawn(4*maxShown, 10)))), Pretty)
	if v.Image == nil || v.Image.Bounds() != image.Rect(0, 0, maxShown, 2) || v.Width != 4*maxShown || v.Height != 10 {
		t.Fatalf("%v of %d × %d", v.Image, v.Width, v.Height)
	}
	if diff := cmp.Diff([]Note{{ImageScaled, 4 * maxShown, 10, "PNG"}}, v.Notes); diff != "" {
		t.Error(diff)
	}
}

func TestImageCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := New(ctx, typed("image/png", string(encoded(t, "PNG", drawn(9, 9)))), Pretty); err == nil {
		t.Errorf("%v", v)
	}
}

func FuzzImage(f *testing.F) {
	webp, _ := base64.StdEncoding.DecodeString(smallWebP)
	for _, seed := range [][]byte{encoded(f, "PNG", drawn(3, 3)), encoded(f, "JPEG", drawn(3, 3)), encoded(f, "GIF", drawn(3, 3)), webp, sized(9, 9)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// Sizes that are allowed may still take long: they are not for here.
		for _, format := range formats {
			if c, err := format.config(bytes.NewReader(body)); err == nil && c.Width*c.Height > 1<<16 {
				return
			}
		}
		v, err := New(t.Context(), exchange.Message{Body: body}, Pretty)
		if err != nil {
			t.Fatal(err)
		}
		if v.Kind == Image && v.Image == nil && len(v.Notes) == 0 {
			t.Error("no image, and no word about it")
		}
	})
}
