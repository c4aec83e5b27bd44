// Package assets holds the pictures that the programs carry inside them. The SVG
// files are the sources, from which icons/render makes the PNG files beside them:
// trays and packages want pixels.
package assets

import "embed"

// Icon is the program's icon, 256 × 256.
//
//go:embed icons/app.png
var Icon []byte

// The tray icons, 64 × 64, told apart by shape as well as by colour: an empty arch,
// an arch with a light in it, with a ring in it, with an exclamation mark in it.
// Those named Public have a badge: strangers can reach something here.
var (
	//go:embed icons/tray-idle.png
	TrayIdle []byte
	//go:embed icons/tray-online.png
	TrayOnline []byte
	//go:embed icons/tray-online-public.png
	TrayOnlinePublic []byte
	//go:embed icons/tray-reconnecting.png
	TrayReconnecting []byte
	//go:embed icons/tray-reconnecting-public.png
	TrayReconnectingPublic []byte
	//go:embed icons/tray-error.png
	TrayError []byte
	//go:embed icons/tray-error-public.png
	TrayErrorPublic []byte
)

// Translations are the texts of every language, a JSON file each, in the folder
// translations.
//
//go:embed translations/*.json
var Translations embed.FS
