package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// clockTicks is the unit of processor times in /proc, fixed by the kernel for user
// space on every architecture that Go knows (USER_HZ, see proc_stat(5)).
const clockTicks = 100

// machineTime is what all processors have done so far, whoever had them (a virtual
// machine's neighbours, too: steal), and how many processors that are: in a container
// more than its own.
func machineTime() (used time.Duration, processors int, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseMachineTime(text)
}

func parseMachineTime(text []byte) (used time.Duration, processors int, err error) {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	fields := strings.Fields(string(line))
	for bytes.HasPrefix(rest, []byte("cpu")) {
		processors++
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	if len(fields) < 9 || fields[0] != "cpu" || processors == 0 {
		return 0, 0, fmt.Errorf("/proc/stat begins with %.60q", line)
	}
	var ticks int64
	for i, f := range fields[1:9] {
		if i == 3 || i == 4 { // idle, iowait
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, processors, nil
}

// memory reads a figure of /proc/PID/status, in bytes: VmRSS is what is resident now,
// VmHWM the most that was since resetPeak.
func memory(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseMemory(string(text), field)
}

func parseMemory(text, field string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc knows no %s", field)
}

// resetPeak has VmHWM begin anew (proc_pid_clear_refs(5)).
func resetPeak(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("this kernel does not tell the most memory that a process has: leave the section bodies out (%w)", err)
	}
	return nil
}

// machine is where the figures were taken, and of which program.
type machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Kernel    string `json:"kernel"`
	Go        string `json:"go"`      // that built the program
	Version   string `json:"version"` // its commit, if it knows it
}

func describe(program string) (m machine, err error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return m, err
	}
	m = machine{Processor: "unknown processor", Cores: runtime.NumCPU(), Go: info.GoVersion}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			m.Version = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", changed"
		}
	}
	m.Version += dirty
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m.Kernel = strings.TrimSpace(string(kernel))
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(cpus)) { // "model name" on x86; others say less
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m, nil
}
