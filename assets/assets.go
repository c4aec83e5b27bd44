// Package assets holds the pictures that the programs carry inside them. The SVG
// files are the sources; the PNG files beside them are what gets embedded, because
// trays want pixels.
package assets

import "embed"

// Icon is the program's icon, 256 × 256.
//
//go:embed icons/app.png
var Icon []byte

// The tray icons, 64 × 64, told apart by shape as well as by colour: an empty arch,
// an arch with a light in it, with a pause in it, with an exclamation mark in it.
//
//go:embed icons/tray-idle.png
var TrayIdle []byte

// TrayOnline says that tunnels are open.
//
//go:embed icons/tray-online.png
var TrayOnline []byte

// TrayReconnecting says that a tunnel is on its way.
//
//go:embed icons/tray-reconnecting.png
var TrayReconnecting []byte

// TrayError says that a backend refused a tunnel.
//
//go:embed icons/tray-error.png
var TrayError []byte

// Translations are the texts of every language, a JSON file each, in the folder
// translations.
//
//go:embed translations/*.json
var Translations embed.FS
