package settings

import (
	"strings"

	"culvert/app/ui/look"
	"culvert/app/ui/words"
)

// builtOn are the libraries that a person meets in the program, with their licences
// (https://spdx.org/licenses/).
var builtOn = []string{
	"Fyne (BSD-3-Clause)", "go-text (BSD-3-Clause, Unlicense)", "Go and golang.org/x (BSD-3-Clause)",
	"gorilla/websocket (BSD-2-Clause)", "modernc.org/sqlite (BSD-3-Clause)", "BurntSushi/toml (MIT)",
	"go-keyring (MIT)", "go-qrcode (MIT)", "compress (BSD-3-Clause)", "brotli (MIT)", "Noto Sans (OFL-1.1)",
}

// newLicences says whose work the program stands on.
func newLicences() *look.Paragraph {
	return look.NewParagraph(words.T("Culvert is free software under the MIT licence. It is built on %s, and others.",
		strings.Join(builtOn, ", ")), look.ColorMuted, look.TextSmall, 8)
}
