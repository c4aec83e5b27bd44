package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// display is a screen and a session bus of their own, so that tests see no other
// program and leave nothing behind.
type display struct {
	screen string // such as ":99"
	bus    string // the bus's address
}

// desktopTools are the programs that the desktop's tests need, with the package
// that has each on Debian.
var desktopTools = map[string]string{
	"Xvfb": "xvfb", "dbus-daemon": "dbus-daemon", "xdotool": "xdotool", "xclip": "xclip", "import": "imagemagick",
}

// busConfig is a session bus that starts no services: a keychain or notifications of
// the machine would else come into the tests, and the tests into them.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
`

func startDisplay(t testing.TB) *display {
	t.Helper()
	for tool, pkg := range desktopTools {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%s is missing (package %s)", tool, pkg)
		}
	}
	d := &display{}

	// Xvfb chooses a free number by itself and writes it when it is ready.
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	xvfb := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset")
	xvfb.ExtraFiles = []*os.File{write}
	startTool(t, xvfb)
	write.Close()
	d.screen = ":" + firstLine(t, "Xvfb", read)

	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, []byte(busConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	bus.Env = append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS=")
	address, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	startTool(t, bus)
	d.bus = firstLine(t, "dbus-daemon", address)
	return d
}

// startTool starts a program that ends with the test.
func startTool(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", cmd.Args[0], err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by our signal
	})
}

func firstLine(t testing.TB, who string, r io.Reader) string {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v", who, err)
	}
	return strings.TrimSpace(line)
}

// env is what a program needs to find the display.
func (d *display) env() []string {
	return []string{"DISPLAY=" + d.screen, "DBUS_SESSION_BUS_ADDRESS=" + d.bus}
}

func (d *display) run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	// What xdotool types may be in any script.
	cmd.Env = append(os.Environ(), append(d.env(), "LC_ALL=C.UTF-8")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

// windows are the visible ones with Culvert's title.
func (d *display) windows() []string {
	out, _ := d.run("xdotool", "search", "--onlyvisible", "--name", "^Culvert$") // fails when there is none
	return strings.Fields(out)
}

// awaitWindow waits until the window can be seen, and points at it: keys go to the
// window under the pointer where there is no window manager.
func (d *display) awaitWindow(t testing.TB) (id string) {
	t.Helper()
	eventually(t, func() error {
		found := d.windows()
		if len(found) == 0 {
			return fmt.Errorf("there is no window")
		}
		id = found[0]
		return nil
	})
	d.xdotool(t, "mousemove", "--window", id, "700", "500")
	return id
}

func (d *display) awaitNoWindow(t testing.TB) {
	t.Helper()
	eventually(t, func() error {
		if found := d.windows(); len(found) > 0 {
			return fmt.Errorf("the window is still there: %v", found)
		}
		return nil
	})
}

func (d *display) xdotool(t testing.TB, args ...string) {
	t.Helper()
	if _, err := d.run("xdotool", args...); err != nil {
		t.Fatal(err)
	}
}

// clipboard is what another program would paste.
func (d *display) clipboard() string {
	out, _ := d.run("xclip", "-o", "-selection", "clipboard") // fails when it is empty
	return out
}

// forget empties the clipboard, so that what is in it later is new.
func (d *display) forget(t testing.TB) {
	t.Helper()
	cmd := exec.Command("xclip", "-selection", "clipboard")
	cmd.Env = append(os.Environ(), d.env()...)
	if err := cmd.Run(); err != nil { // a child of it stays until something is copied
		t.Fatalf("xclip: %v", err)
	}
}

// picture is the whole screen.
func (d *display) picture(t testing.TB) image.Image {
	t.Helper()
	out, err := d.run("import", "-window", "root", "png:-")
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// keep writes a picture to .ci/out, for people.
func keep(t testing.TB, img image.Image, name string) {
	t.Helper()
	dir := filepath.Join("..", "..", ".ci", "out")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// inked counts the pixels of a colour in an area; edges of letters are softened, so
// only their cores count.
func inked(img image.Image, area image.Rectangle, ink color.RGBA) (n int) {
	near := func(a uint32, b uint8) bool {
		d := int(a>>8) - int(b)
		return -12 <= d && d <= 12
	}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			if r, g, b, _ := img.At(x, y).RGBA(); near(r, ink.R) && near(g, ink.G) && near(b, ink.B) {
				n++
			}
		}
	}
	return n
}
