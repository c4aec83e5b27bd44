package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestString(t *testing.T) {
	t.Parallel()
	tail := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for name, c := range map[string]struct {
		build *debug.BuildInfo
		want  string
	}{
		"no build information": {nil, Number + tail},
		"outside a repository": {&debug.BuildInfo{}, Number + tail},
		"clean": {&debug.BuildInfo{Settings: []debug.BuildSetting{
			setting("vcs.revision", "0123456789abcdef0123456789abcdef01234567"), setting("vcs.modified", "false"),
		}}, Number + " (0123456789ab)" + tail},
		"modified": {&debug.BuildInfo{Settings: []debug.BuildSetting{
			setting("vcs.revision", "0123"), setting("vcs.modified", "true"),
		}}, Number + " (0123, modified)" + tail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := from(c.build).String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
