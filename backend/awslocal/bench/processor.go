package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// processors gives what the processes of the functions' program have used of the
// machine's processors, by their role; nothing where there is no /proc. It does not hang
// on what else the machine does, as the time of an execution does.
// https://docs.kernel.org/scheduler/sched-stats.html
func (b *bench) processors() map[string]time.Duration {
	used := make(map[string]time.Duration)
	program, err := filepath.Abs(b.bootstrap)
	if err != nil {
		return used
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return used
	}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != program {
			continue
		}
		dir := filepath.Dir(link)
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			continue
		}
		role := ""
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if value, ok := strings.CutPrefix(string(variable), "CULVERT_ROLE="); ok {
				role = value
			}
		}
		threads, _ := filepath.Glob(filepath.Join(dir, "task", "*", "schedstat"))
		for _, thread := range threads {
			text, _ := os.ReadFile(thread)
			first, _, _ := strings.Cut(string(text), " ")
			if n, err := strconv.ParseInt(first, 10, 64); err == nil {
				used[role] += time.Duration(n)
			}
		}
	}
	return used
}
