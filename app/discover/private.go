package discover

import (
	"path/filepath"
	"runtime"
	"strings"
)

// systemFolders belong to the system, with all that is in them.
var systemFolders = []string{
	"/etc", "/root", "/proc", "/sys", "/dev", "/boot", "/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/etc", "/usr/local/etc",
	"/var/lib", "/var/log", "/var/run", "/var/spool", "/var/backups", "/var/mail", "/var/cache", "/var/db", "/var/root",
	"/run", "/System", "/Library", "/private/etc", "/private/var/db", "/private/var/log", "/private/var/root", `C:\Windows`, `C:\ProgramData`,
}

// crowdedFolders have in them what belongs to many programs, people or disks. A folder
// in one may be a site's: /var/www.
var crowdedFolders = []string{
	"/var", "/usr", "/usr/local", "/usr/share", "/opt", "/tmp", "/var/tmp", "/mnt", "/media", "/Volumes", "/Applications",
	"/private", "/private/var", "/private/tmp", "/private/var/tmp", `C:\Users`, `C:\Program Files`, `C:\Program Files (x86)`,
}

// homeFolders are where people's own files are, all together.
var homeFolders = []string{
	"Desktop", "Documents", "Downloads", "Pictures", "Music", "Movies", "Videos", "Library", "AppData", "OneDrive", "Dropbox",
}

// hazardOfTree judges a folder to be served by its path and by where that leads.
func hazardOfTree(folder, home string, own []string) Hazard {
	for _, path := range bothWays(folder) {
		for _, home := range bothWays(home) {
			if h := hazardOfFolder(path, home); h.Kind != NoHazard {
				return h
			}
		}
		for _, own := range own {
			for _, own := range bothWays(own) {
				if own != "" && (within(own, path) || within(path, own)) {
					return hazard(PrivateFiles, "the keys of Culvert")
				}
			}
		}
	}
	return Hazard{}
}

// bothWays is a path as it is written, and with all links followed if it has any.
func bothWays(path string) []string {
	if path == "" {
		return []string{""}
	}
	path = filepath.Clean(path)
	real, err := filepath.EvalSymlinks(path)
	if err != nil || real == path {
		return []string{path}
	}
	return []string{path, real}
}

// hazardOfFolder judges a folder by its path. A part of a home folder is what people
// work with, unless it is one that programs keep to themselves.
func hazardOfFolder(folder, home string) Hazard {
	parent := filepath.Dir(folder)
	switch {
	case home != "" && samePath(folder, home):
		return hazard(PrivateFiles, "your home folder")
	case parent == folder:
		return hazard(PrivateFiles, "the whole disk")
	case home != "" && within(home, folder):
		return hazard(PrivateFiles, "everybody's home folders")
	case isHidden(folder):
		return hazard(PrivateFiles, "a hidden folder")
	}
	for _, system := range systemFolders {
		// A home folder may be below one, such as root's.
		if within(folder, system) && (home == "" || !within(folder, home) || !within(home, system)) {
			return hazard(PrivateFiles, "a folder of the system")
		}
	}
	for _, crowded := range crowdedFolders {
		if samePath(folder, crowded) {
			return hazard(PrivateFiles, "a folder of the system")
		}
	}
	// The disks of others are there: "/mnt/c", "/media/jo/stick".
	if samePath(parent, "/mnt") || samePath(parent, "/Volumes") || samePath(parent, "/media") || samePath(filepath.Dir(parent), "/media") {
		return hazard(PrivateFiles, "a whole disk")
	}
	if home != "" {
		for _, name := range homeFolders {
			if samePath(folder, filepath.Join(home, name)) {
				return hazard(PrivateFiles, "your "+name+" folder")
			}
		}
		for _, name := range []string{"Library", "AppData"} {
			if within(folder, filepath.Join(home, name)) {
				return hazard(PrivateFiles, "what programs keep about you")
			}
		}
	}
	return Hazard{}
}

// isHidden reports whether a name on the way to a folder begins with a dot. Below the
// folder, such names are not served; above it, nothing else would be wrong with them.
func isHidden(folder string) bool {
	for name := range strings.FieldsFuncSeq(folder, func(r rune) bool { return r == '/' || r == filepath.Separator }) {
		if strings.HasPrefix(name, ".") && name != ".well-known" {
			return true
		}
	}
	return false
}

// foldsCase reports whether names that differ in case only are the same here, mostly.
const foldsCase = runtime.GOOS == "windows" || runtime.GOOS == "darwin"

func samePath(a, b string) bool {
	a, b = strings.TrimRight(filepath.ToSlash(a), "/"), strings.TrimRight(filepath.ToSlash(b), "/")
	return a == b || foldsCase && strings.EqualFold(a, b)
}

// within reports whether a path is a folder, or in it.
func within(path, folder string) bool {
	folder = strings.TrimRight(folder, `/\`)
	if len(path) < len(folder) || !samePath(path[:len(folder)], folder) {
		return false
	}
	rest := path[len(folder):]
	return rest == "" || rest[0] == '/' || rest[0] == '\\'
}
