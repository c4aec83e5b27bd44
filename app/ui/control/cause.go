package control

import "strings"

// cause is why a tunnel is not online, for somebody at a window: errors that speak of
// the command line's flags mean what the settings have for it.
func cause(err error) string {
	if err == nil {
		return ""
	}
	return inSettings.Replace(err.Error())
}

// The longer ones come first: a replacer takes the first that fits.
var inSettings = strings.NewReplacer(
	"give it a valid token with --token or --token-file", "put a valid token into the settings of the backend",
	"name a file that holds one with --token-file", "put one into the settings of the backend",
	"check --token and --backend", "check the token and the address in the settings of the backend",
	"name the right address with --backend", "correct the address in the settings of the backend",
	"name its certificate with --ca-file", "name its certificate in the settings of the backend",
	"check --backend", "check the address in the settings of the backend",
	"use --backend", "choose one in the settings",
	"use --token", "write the token into a field of its own, in the settings of the backend",
	"in --backend", "in the settings of the backend",
)
