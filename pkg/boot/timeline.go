//go:build linux

package boot

import (
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"rambox/pkg/kmod"
)

// reportFile is what a boot leaves of its timeline; docs/image.md describes it.
const (
	reportFile    = runDir + "/boot.json"
	reportVersion = 1
)

// timeline notes when what happened in this boot, for that file and for the
// page that a person reads when the boot has failed. Times are on the kernel's
// clock.
type timeline struct {
	init time.Duration // when init began

	mu     sync.Mutex
	stages []span
	waits  []span
	stage  int // the stage that goes on, an index of stages; those of other processes may go on beside it
}

// span is a stage, or the wait for something.
type span struct {
	name       string
	start, end time.Duration // end is 0 while it lasts
	err        string        // why it has failed
}

// kernelClock is CLOCK_MONOTONIC, which the kernel's log follows to within a
// few milliseconds.
func kernelClock() time.Duration {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}

// restart forgets an earlier attempt to boot.
func (t *timeline) restart() {
	t.mu.Lock()
	t.stages, t.waits, t.stage = nil, nil, -1
	t.mu.Unlock()
}

// next ends the stage that goes on, with an error if it has failed, and begins
// another, unless name is "".
func (t *timeline) next(name string, failure error) {
	now := kernelClock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stage >= 0 && t.stage < len(t.stages) {
		t.stages[t.stage].over(now, failure)
	}
	t.stage = -1
	if name != "" {
		t.stage = len(t.stages)
		t.stages = append(t.stages, span{name: name, start: now})
	}
}

// beside begins a stage that goes on beside the others.
func (t *timeline) beside(name string) (end func(failure error)) { return t.open(&t.stages, name) }

// wait begins a wait.
func (t *timeline) wait(name string) (end func(failure error)) { return t.open(&t.waits, name) }

func (t *timeline) open(list *[]span, name string) (end func(failure error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, start := len(*list), kernelClock()
	*list = append(*list, span{name: name, start: start})
	return func(failure error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		// Another attempt to boot may have its own list by now.
		if i < len(*list) && (*list)[i].start == start {
			(*list)[i].over(kernelClock(), failure)
		}
	}
}

func (s *span) over(now time.Duration, failure error) {
	s.end = now
	if failure != nil {
		s.err = failure.Error()
	}
}

// lines are the timeline for a person.
func (t *timeline) lines() []string {
	now := kernelClock()
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	add := func(s span, what string) {
		end := s.end
		if end == 0 {
			end = now
		}
		line := "at " + seconds(s.start, 3) + " s: " + what + s.name + ", " + seconds(end-s.start, 3) + " s"
		if s.err != "" && what != "" {
			line += ", in vain"
		}
		lines = append(lines, line)
	}
	waits := t.waits
	for i, s := range t.stages {
		add(s, "")
		for len(waits) > 0 && (i+1 == len(t.stages) || waits[0].start < t.stages[i+1].start) {
			add(waits[0], "  waited for ")
			waits = waits[1:]
		}
	}
	return lines
}

// json is the timeline for a program, on one line.
func (m *pid1) json() []byte {
	var name unix.Utsname
	unix.Uname(&name)
	var loaded []kmod.Loaded
	if m.modules != nil {
		loaded = m.modules.Loaded()
	}
	t := &m.times
	t.mu.Lock()
	defer t.mu.Unlock()
	now, wall := kernelClock(), time.Now() // later than all that is told of
	b := []byte(`{"version":` + strconv.Itoa(reportVersion) + `,"release":`)
	b = appendJSON(b, unix.ByteSliceToString(name.Release[:]))
	b = append(b, `,"init":`+seconds(t.init, 6)+`,"now":`+seconds(now, 6)...)
	b = appendSpans(b, `,"stages":[`, `"name":`, t.stages)
	b = appendSpans(b, `],"waits":[`, `"for":`, t.waits)
	b = append(b, `],"modules":[`...)
	for i, l := range loaded {
		s := span{name: l.Name, start: now - wall.Sub(l.Start), end: now - wall.Sub(l.End)}
		b = appendSpan(b, i, `"bytes":`+strconv.FormatInt(l.Bytes, 10)+`,"name":`, s)
	}
	return append(b, "]}\n"...)
}

func appendSpans(b []byte, open, key string, spans []span) []byte {
	b = append(b, open...)
	for i, s := range spans {
		b = appendSpan(b, i, key, s)
	}
	return b
}

func appendSpan(b []byte, i int, key string, s span) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = appendJSON(append(b, "{"+key...), s.name)
	b = append(b, `,"start":`+seconds(s.start, 6)...)
	if s.end != 0 {
		b = append(b, `,"end":`+seconds(s.end, 6)...)
	}
	if s.err != "" {
		b = appendJSON(append(b, `,"error":`...), s.err)
	}
	return append(b, '}')
}

// seconds writes d with 3 or 6 decimals: "0.512345".
func seconds(d time.Duration, decimals int) string {
	const places = 9
	digits := strconv.FormatInt(int64(max(d, 0)), 10)
	for len(digits) <= places {
		digits = "0" + digits
	}
	point := len(digits) - places
	return digits[:point] + "." + digits[point:point+decimals]
}

// appendJSON appends a string (RFC 8259, section 7). What is no UTF-8 becomes
// question marks.
func appendJSON(b []byte, s string) []byte {
	valid := utf8.ValidString(s)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&0xf])
		case c >= 0x80 && !valid:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// leaveReport writes the report for whoever comes next.
func (m *pid1) leaveReport() {
	if err := makeDir(runDir); err != nil {
		m.log.Warnf("boot report: %v", err)
		return
	}
	fd, err := unix.Open(reportFile, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err == nil {
		_, err = writeAll(fd, m.json())
		unix.Close(fd)
	}
	if err != nil {
		m.log.Warnf("boot report: write %s: %v", reportFile, err)
	}
}

// sendReport sends the report, and the kernel's log, to a rambox run that has
// asked for them.
func (m *pid1) sendReport() {
	if !m.plan.Timings || !m.host.connected() {
		return
	}
	readKernelLog(func(record string) bool {
		m.host.tell("kmsg", record)
		return true
	})
	m.host.tell("timings", string(m.json()))
}
