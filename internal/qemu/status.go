package qemu

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// maxLine bounds a line of the status protocol, in bytes.
const maxLine = 4 << 10

// status is one line of the guest's init: on the port rambox.control, or on the console after "rambox-NONCE: ".
type status struct {
	kind    string // boot, start, exit, signal, noexec, notfound, failed
	n       int    // exit: the program's status; signal: its number
	out     int64  // exit, signal: bytes that the program wrote to stdout in all; -1 when the line does not say
	err     int64  // the same for stderr
	oom     bool   // signal: by the kernel's OOM killer
	message string // noexec, notfound, failed
	console bool   // it came over the console
}

// ends reports whether the guest has nothing more to say after this line.
func (s status) ends() bool { return s.kind != "boot" && s.kind != "start" }

// ran reports whether it ends a program that was running.
func (s status) ran() bool { return s.kind == "exit" || s.kind == "signal" }

// parseStatus reads a line without its end. A console may have no byte counts; anything else that is not exactly
// in the protocol is refused: a kernel message may have cut the line.
func parseStatus(line string) (status, bool) {
	kind, rest, _ := strings.Cut(line, " ")
	st := status{kind: kind, out: -1, err: -1}
	switch kind {
	case "boot", "start":
		return st, rest == ""
	case "noexec", "notfound", "failed":
		st.message = printable(rest)
		return st, true
	case "exit", "signal":
		return st.parseEnd(strings.Fields(rest))
	}
	return status{}, false
}

// parseEnd reads "N [OUT ERR] [oom]".
func (s status) parseEnd(words []string) (status, bool) {
	if s.kind == "signal" && len(words) > 1 && words[len(words)-1] == "oom" {
		s.oom = true
		words = words[:len(words)-1]
	}
	if len(words) != 1 && len(words) != 3 {
		return status{}, false
	}
	limit := int64(255)
	if s.kind == "signal" {
		limit = 64
	}
	n, ok := number(words[0], limit)
	if !ok || s.kind == "signal" && n == 0 {
		return status{}, false
	}
	s.n = int(n)
	if len(words) == 3 {
		var ok1, ok2 bool
		s.out, ok1 = number(words[1], 1<<63-1)
		s.err, ok2 = number(words[2], 1<<63-1)
		return s, ok1 && ok2
	}
	return s, true
}

func number(s string, limit int64) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n <= limit && s[0] != '+' && s[0] != '-'
}

// printable makes text from the guest fit for one line of a terminal.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s))
}

// readStatuses calls each for every status line of the control port until it ends. A line that is too long or
// makes no sense is dropped. Lines about the boot's timings go to log, which may be nil.
func readStatuses(control io.Reader, log *timingsLog, each func(status)) {
	r := bufio.NewReaderSize(control, log.longest())
	for {
		line, err := r.ReadSlice('\n')
		for err == bufio.ErrBufferFull {
			line = nil
			_, err = r.ReadSlice('\n')
		}
		if err != nil {
			return
		}
		text := strings.TrimRight(string(line), "\r\n")
		if log.take(text) || len(text) > maxLine {
			continue
		}
		if st, ok := parseStatus(text); ok {
			each(st)
		}
	}
}
