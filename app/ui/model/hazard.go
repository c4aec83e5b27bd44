package model

import (
	"culvert/app/discover"
	"culvert/app/ui/words"
)

// HazardWhy says in the user's language why a service should not be exposed, "" if
// nothing speaks against it.
func HazardWhy(h discover.Hazard) string {
	switch h.Kind {
	case discover.NoHazard:
		return ""
	case discover.Database:
		return words.T("Databases are not made for the open internet: whoever finds the URL could read or change what is in it.")
	case discover.Debugger:
		return words.T("A debugger runs any code it is given: whoever finds the URL could take over your account on this computer.")
	case discover.Containers:
		return words.T("It commands containers, mostly as root: whoever finds the URL could take over this computer or its cluster.")
	case discover.RemoteAccess:
		return words.T("It gives access to this computer or its files: whoever finds the URL could try to get in.")
	case discover.Credentials:
		return words.T("It hands out keys to whoever asks: whoever finds the URL could use your cloud account.")
	case discover.PrivateFiles:
		return words.T("Whoever finds the URL can read every file in it, also those that programs keep there.")
	case discover.Internal:
		return words.T("It trusts everyone who can reach it, and was made for this computer or its network only.")
	default:
		return h.Why
	}
}
