package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const fetchTimeout = 5 * time.Minute

// Install is how to get a program.
type Install struct {
	Name     string // for errors and the progress
	Cache    string // the folder for all that this program keeps
	Dir      string // inside Cache, for this version
	Complete func(dir string) bool
	Notice   string // about the licence; told before anything is fetched
	// Fill brings the verified program into a folder inside scratch, and names it.
	Fill   func(ctx context.Context, scratch string) (program string, err error)
	Output io.Writer // told the progress, a line at a time
}

// Run makes Dir. It gets there in one piece, and several processes may want it at once.
func (i Install) Run(ctx context.Context) error {
	if err := os.MkdirAll(i.Cache, 0o755); err != nil {
		return fmt.Errorf("making a folder for %s: %w", i.Name, err)
	}
	unlock, err := Lock(ctx, filepath.Join(i.Cache, "fetch.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if i.Complete(i.Dir) { // by another process, while this one waited
		return nil
	}
	fmt.Fprint(i.Output, i.Notice)
	// What an earlier attempt left, when its process was killed. The lock says
	// that nobody is at it.
	if left, _ := filepath.Glob(filepath.Join(i.Cache, "new-*")); len(left) > 0 {
		for _, name := range left {
			os.RemoveAll(name)
		}
	}
	scratch, err := os.MkdirTemp(i.Cache, "new-")
	if err != nil {
		return fmt.Errorf("making a folder for %s: %w", i.Name, err)
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("fetching %s takes longer than %v", i.Name, fetchTimeout))
	defer cancel()
	made, err := i.Fill(ctx, scratch)
	if err != nil {
		return err
	}
	if !i.Complete(made) {
		return fmt.Errorf("unpacking %s: the package does not have what it should", i.Name)
	}
	if err := os.Rename(made, i.Dir); err != nil {
		return fmt.Errorf("keeping %s: %w", i.Name, err)
	}
	fmt.Fprintf(i.Output, "%s: kept in %s\n", i.Name, i.Dir)
	return nil
}

// Call runs a registry's client in a folder. Its error quotes what the client said.
func Call(ctx context.Context, dir, what, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	said := new(Tail)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w%s", what, err, said.Quote())
	}
	return nil
}

// CacheDir makes a cache folder's name absolute; empty is the one of that name in the
// user's.
func CacheDir(folder, name string) (string, error) {
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no folder to keep programs in: %w", err)
		}
		folder = filepath.Join(cache, "culvert", name)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("no folder to keep programs in: %w", err)
	}
	return folder, nil
}
