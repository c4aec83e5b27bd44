// Package version says which build of the programs this is.
package version

import (
	"runtime"
	"runtime/debug"
)

// Number is the release, by semantic versioning.
const Number = "0.1.0"

// Info is what is known about this build.
type Info struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the version control system; "" if built outside one
	Modified bool   `json:"modified,omitempty"` // there were uncommitted changes
	Time     string `json:"time,omitempty"`     // of the revision, RFC 3339
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// Get reads the information that the Go toolchain left in the binary.
func Get() Info {
	build, _ := debug.ReadBuildInfo()
	return from(build)
}

func from(build *debug.BuildInfo) Info {
	info := Info{Version: Number, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if build == nil {
		return info
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Revision = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		case "vcs.time":
			info.Time = s.Value
		}
	}
	return info
}

// shortRevision is as many digits of a revision as people read.
const shortRevision = 12

// String is one line: "0.1.0 (1234567890ab, modified) go1.26.8 linux/amd64".
func (i Info) String() string {
	s := i.Version
	if i.Revision != "" {
		s += " (" + i.Revision[:min(len(i.Revision), shortRevision)]
		if i.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s + " " + i.Go + " " + i.OS + "/" + i.Arch
}

// Line is the answer to whoever asks the command for its version.
func Line() string { return "culvert " + Get().String() }

// Agent names this program to backends, for their logs.
func Agent() string { return "culvert/" + Number }
