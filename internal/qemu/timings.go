package qemu

import (
	"strings"
	"sync"
	"time"
)

// Bounds on what a guest may report of its boot, in bytes: its one line of timings, and all records of the kernel's log.
// A kernel of many CPUs keeps 1 MiB of them.
const (
	maxTimings = 256 << 10
	maxLog     = 4 << 20
)

// Timings is what a guest has reported of its boot, as it came, and when it was.
type Timings struct {
	PowerOn time.Time // QEMU was started
	Arrived time.Time // the report arrived; zero when none came
	Gone    time.Time // QEMU had ended
	Ports   bool      // the guest has virtio-serial ports: without them no report can come
	Records []string  // of the guest's /dev/kmsg, the first 4 MiB
	Report  []byte    // a JSON object
}

// timingsLog collects the report. The first counts: a boot that is tried again begins somewhere else.
type timingsLog struct {
	mu   sync.Mutex
	got  Timings
	size int
}

// take reports whether a line of the control port belongs to the report. A log that is nil takes nothing.
func (l *timingsLog) take(line string) bool {
	kind, rest, _ := strings.Cut(line, " ")
	if l == nil || kind != "kmsg" && kind != "timings" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.got.Arrived.IsZero():
	case kind == "timings":
		l.got.Arrived, l.got.Report = time.Now(), []byte(rest)
	default:
		const header = 16 // of a string: empty records take memory, too
		if l.size += len(rest) + header; l.size <= maxLog {
			l.got.Records = append(l.got.Records, rest)
		}
	}
	return true
}

// between is what has been collected, for a QEMU that ran from one time to another. It is nil when nobody has asked.
func (l *timingsLog) between(powerOn, gone time.Time, ports bool) *Timings {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got
	got.PowerOn, got.Gone, got.Ports = powerOn, gone, ports
	return &got
}

// longest is the longest line that the control port may have.
func (l *timingsLog) longest() int {
	if l == nil {
		return maxLine
	}
	return maxTimings
}
