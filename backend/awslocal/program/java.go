package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// ErrNoTool is wrapped by the errors that name a program to install.
var ErrNoTool = errors.New("a program is missing")

// toolError says what is missing and how to get it.
type toolError struct{ what, install string }

func (e *toolError) Error() string { return e.what + "\n" + e.install }
func (e *toolError) Unwrap() error { return ErrNoTool }

// How to install what may be missing.
const (
	installJava = `Install it, then try again:
    Debian, Ubuntu  apt install default-jre-headless
    Fedora          dnf install java-latest-openjdk-headless
    Arch            pacman -S jre-openjdk-headless
    macOS           brew install openjdk`
	InstallNPM = `Install it, then try again:
    Debian, Ubuntu  apt install npm
    Fedora          dnf install nodejs-npm
    Arch            pacman -S npm
    macOS           brew install node`
	InstallMaven = `Install it, then try again:
    Debian, Ubuntu  apt install maven
    Fedora          dnf install maven
    Arch            pacman -S maven
    macOS           brew install maven`
)

const startTimeout = 60 * time.Second

// FindJava returns a Java that a program runs on: the one of JAVA_HOME, else that of
// PATH.
func FindJava(parent context.Context, program string, least int) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	name, err := exec.LookPath(java)
	if err != nil {
		return "", &toolError{fmt.Sprintf("%s needs Java %d or later, and there is none here", program, least), installJava}
	}
	ctx, cancel := context.WithTimeout(parent, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, "-version")
	cmd.WaitDelay = time.Second
	said := new(Tail)
	cmd.Stderr = said // as Java does, of all versions
	if err := cmd.Run(); err != nil {
		if parent.Err() != nil {
			return "", context.Cause(parent)
		}
		// macOS has a java that only says where to find a real one.
		return "", &toolError{fmt.Sprintf("%s needs Java %d or later, and %s does not run (%v)%s", program, least, name, err, said.Quote()), installJava}
	}
	major, ok := javaVersion(string(said.buf))
	if ok && major < least {
		return "", &toolError{fmt.Sprintf("%s needs Java %d or later, and %s is Java %d", program, least, name, major), installJava}
	}
	return name, nil // of an unknown kind; it may well do
}

// Such as: openjdk version "17.0.15" 2025-04-15, java version "1.8.0_402".
var javaVersionText = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

func javaVersion(said string) (major int, ok bool) {
	m := javaVersionText.FindStringSubmatch(said)
	if m == nil {
		return 0, false
	}
	major, err := strconv.Atoi(m[1])
	return major, err == nil
}

// FindTool returns the client of a registry, or says how to install it.
func FindTool(program, tool, install string) (string, error) {
	name, err := exec.LookPath(tool)
	if err != nil {
		return "", &toolError{fmt.Sprintf("fetching %s needs %s, and it is not here", program, tool), install}
	}
	return name, nil
}
