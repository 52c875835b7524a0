//go:build linux

package boot

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Log writes lines to the kernel's log with a level, so that quiet and
// loglevel= hold for init as they do for the kernel, and dmesg shows both on
// one clock. Without /dev/kmsg the lines go to standard error.
type Log struct {
	fd    int
	debug bool       // Debugf writes
	lift  *sync.Once // see unlimit; nil: there is no limit
}

// maxRecord is the text of one line: the kernel refuses a record longer than
// 1024 bytes less its prefix (devkmsg_write, kernel/printk/printk.c, v6.12).
const maxRecord = 960

// openLog opens the kernel's log.
func openLog() Log {
	fd, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Log{fd: 2}
	}
	return Log{fd: fd, lift: new(sync.Once)}
}

// unlimit lifts the default limit of ten records in five seconds for writers
// (printk.devkmsg=ratelimit); where the command line has fixed it, the kernel
// keeps it. A boot that has nothing to complain of stays below it.
func unlimit() {
	if fd, err := unix.Open("/proc/sys/kernel/printk_devkmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		unix.Write(fd, []byte("on\n"))
		unix.Close(fd)
	}
}

// The levels of syslog(3) that init uses.
const (
	levelError   = '3'
	levelWarning = '4'
	levelInfo    = '6'
	levelDebug   = '7'
)

func (l Log) Errorf(format string, a ...any) { l.print(levelError, fmt.Sprintf(format, a...)) }
func (l Log) Warnf(format string, a ...any)  { l.print(levelWarning, fmt.Sprintf(format, a...)) }
func (l Log) Infof(format string, a ...any)  { l.print(levelInfo, fmt.Sprintf(format, a...)) }

// Debugf writes a line that costs more than it tells, unless the command line
// asks for it (Plan.Debug).
func (l Log) Debugf(format string, a ...any) {
	if l.debug {
		l.print(levelDebug, fmt.Sprintf(format, a...))
	}
}

// print writes each line of text as a record of its own. A log that cannot be
// written to is no reason to stop a boot.
func (l Log) print(level byte, text string) {
	if l.lift != nil && level != levelInfo {
		l.lift.Do(unlimit)
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if len(line) > maxRecord {
			line = line[:maxRecord] + "…"
		}
		if l.fd == 2 {
			unix.Write(2, []byte("rambox: "+line+"\r\n"))
			continue
		}
		unix.Write(l.fd, []byte("<"+string(level)+">rambox: "+line+"\n"))
	}
}

// readKernelLog calls f for each record of the kernel's log, as /dev/kmsg gives
// it (Documentation/ABI/testing/dev-kmsg: "6,339,5140900,-;text"), less its
// continuation lines, until f returns false.
func readKernelLog(f func(record string) (more bool)) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	record := make([]byte, 8192)
	for {
		n, err := unix.Read(fd, record)
		switch {
		case err == unix.EINTR || err == unix.EPIPE: // EPIPE: this record was overwritten
			continue
		case err != nil || n == 0:
			return
		}
		line, _, _ := strings.Cut(string(record[:n]), "\n")
		if !f(line) {
			return
		}
	}
}
