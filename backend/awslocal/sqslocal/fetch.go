package sqslocal

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"culvert/backend/awslocal/program"
)

// Version is ElasticMQ's, as pom.xml asks for it.
const Version = "1.6.11"

// pom names the program, and sums are all of its jars, with the SHA-256 sums of what
// was tried: Maven checks the repository's sums, which would change with the files.
//
//go:embed pom.xml
var pom []byte

//go:embed jars.sha256
var sums string

// resolve is the goal that brings the jars of a pom, in a version that stays.
const resolve = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

const notice = `ElasticMQ, a server that speaks SQS, is not on this machine yet. Fetching it once (37 MB, from Maven Central by mvn).
It is SoftwareMill's program and not part of Culvert, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
`

// Fetch returns the folder of ElasticMQ's jars inside cache, and puts it there if it is
// missing: through Maven, each jar's checksum verified. Several processes may ask at
// once. The output is told the licence and the progress.
func Fetch(ctx context.Context, cache string, output io.Writer) (dir string, err error) {
	dir = filepath.Join(cache, Version)
	if complete(dir) {
		return dir, nil
	}
	mvn, err := program.FindTool(name, "mvn", program.InstallMaven)
	if err != nil {
		return "", err
	}
	return dir, install(ctx, cache, dir, output, func(ctx context.Context, scratch, into string) error {
		file := filepath.Join(scratch, "pom.xml")
		if err := os.WriteFile(file, pom, 0o600); err != nil {
			return fmt.Errorf("fetching %s: %w", name, err)
		}
		return program.Call(ctx, scratch, "mvn "+resolve, mvn, "--batch-mode", "--quiet", "--file", file, resolve,
			"-DincludeScope=runtime", "-DoutputDirectory="+into)
	})
}

func install(ctx context.Context, cache, dir string, output io.Writer, download func(ctx context.Context, scratch, into string) error) error {
	return program.Install{
		Name: name, Cache: cache, Dir: dir, Complete: complete, Output: output, Notice: notice,
		Fill: func(ctx context.Context, scratch string) (string, error) {
			jars := filepath.Join(scratch, "jars")
			if err := download(ctx, scratch, jars); err != nil {
				return "", err
			}
			if err := verify(jars, sums); err != nil {
				return "", err
			}
			fmt.Fprintf(output, "%s: checksums verified\n", name)
			return jars, nil
		},
	}.Run(ctx)
}

// complete reports whether dir holds the program. It gets there in one piece, so one
// file speaks for all.
func complete(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "elasticmq-server_2.13-"+Version+".jar"))
	return err == nil && info.Mode().IsRegular()
}

// verify wants the files of the list in a folder, and no others: all that is there will
// be run.
func verify(dir, list string) error {
	want := make(map[string]string)
	for s := bufio.NewScanner(strings.NewReader(list)); s.Scan(); {
		sum, file, _ := strings.Cut(s.Text(), "  ")
		want[file] = sum
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("fetching %s: %w", name, err)
	}
	for _, e := range entries {
		sum, known := want[e.Name()]
		if !known {
			return fmt.Errorf("fetching %s: Maven brought %s, which Culvert does not know; it was not used", name, e.Name())
		}
		delete(want, e.Name())
		got, err := sumOf(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("fetching %s: %w", name, err)
		}
		if got != sum {
			return fmt.Errorf("fetching %s: %s is not the file that Culvert knows: its SHA-256 is %s instead of %s; it was not used", name, e.Name(), got, sum)
		}
	}
	for file := range want {
		return fmt.Errorf("fetching %s: Maven did not bring %s", name, file)
	}
	return nil
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
