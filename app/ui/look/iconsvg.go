package look

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// IconSize is how large an icon is drawn.
const IconSize float32 = 16

func (i Icon) name() string {
	h := fnv.New32a()
	h.Write([]byte(i))
	return fmt.Sprintf("culvert-%08x-", h.Sum32())
}

// svg draws the icon: paths are strokes unless they say otherwise.
func (i Icon) svg(tint string) []byte {
	body := strings.NewReplacer(
		`fill="currentColor"`, `fill="`+tint+`" stroke="none"`,
		`<path `, `<path fill="none" stroke="`+tint+`" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" `,
	).Replace(string(i))
	// Circles without a fill of their own are outlines.
	parts := strings.Split(body, "<circle ")
	for n := 1; n < len(parts); n++ {
		end := strings.Index(parts[n], "/>")
		if !strings.Contains(parts[n][:end], "fill=") {
			parts[n] = `fill="none" stroke="` + tint + `" stroke-width="1.5" ` + parts[n]
		}
	}
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">` + strings.Join(parts, "<circle ") + `</svg>`)
}
