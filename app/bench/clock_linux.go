package main

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what all threads of a process have used, user and system.
//
// It is read from the process's CPU clock (clock_getcpuclockid(3)), which counts
// nanoseconds and keeps the time of threads that have ended. /proc/PID/stat is rounded
// to ticks of 10 ms, a hundredth of what is measured here; /proc/PID/schedstat is of the
// first thread only, and those of its tasks go with them.
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED, in the kernel's include/linux/posix-timers_types.h
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// dieWithParent has the kernel end the program when this one dies, however it dies.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
