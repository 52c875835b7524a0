package qemu

import (
	"bytes"
	"strings"
)

// scanner takes status lines out of the console's stream, wherever in a line they start (a kernel message may precede
// them) and however the stream is cut into reads. The rest is text and stays in order.
type scanner struct {
	mark  []byte // what a status line starts with, "rambox-NONCE: "; empty when there is no nonce
	held  []byte // the end of the stream as far as it is, or may become, a status line
	shown int    // bytes at the start of held that show passed on
}

func newScanner(nonce string) *scanner {
	if nonce == "" {
		return &scanner{}
	}
	return &scanner{mark: []byte("rambox-" + nonce + ": ")}
}

// lineBreak precedes a status line when the cursor may be in mid-line: the init writes \r\n, of which the terminal
// makes this (ONLCR, termios(3)). A payload's own line end is \r\n here and stays.
const lineBreak = "\r\r\n"

// feed takes the next bytes of the stream. It calls text with what is not a status line and line with each status line, less
// its mark and its end. Neither may keep its argument.
func (s *scanner) feed(p []byte, text, line func([]byte)) {
	if len(s.mark) == 0 {
		text(p)
		return
	}
	s.held = append(s.held, p...)
	for {
		start := bytes.Index(s.held, s.mark)
		if start < 0 {
			s.pass(len(s.held)-s.undecided(), text)
			return
		}
		s.pass(len(bytes.TrimSuffix(s.held[:start], []byte(lineBreak))), text)
		body := s.held[bytes.Index(s.held, s.mark)+len(s.mark):]
		end := bytes.IndexByte(body, '\n')
		switch {
		case end >= 0:
			line(bytes.TrimRight(body[:end], "\r"))
			s.drop(len(s.held) - len(body) + end + 1)
		case len(body) > maxLine:
			s.pass(len(s.held)-len(body), text) // nothing that our init would write
		default:
			return
		}
	}
}

// undecided is the length of the longest end of held that may be the start of a status line.
func (s *scanner) undecided() int {
	full := append([]byte(lineBreak), s.mark...)
	for n := min(len(s.held), len(full)-1); n > 0; n-- {
		end := s.held[len(s.held)-n:]
		if bytes.HasPrefix(full, end) || bytes.HasPrefix(s.mark, end) {
			return n
		}
	}
	return 0
}

// show passes on what feed holds back, unless it is a status line already. For a stream that has paused: a person who
// types the first letter of the mark wants to see it.
func (s *scanner) show(text func([]byte)) {
	if s.shown < len(s.held) && !bytes.Contains(s.held, s.mark) {
		text(s.held[s.shown:])
		s.shown = len(s.held)
	}
}

// pass moves the first n bytes of held to text, less those that have been shown.
func (s *scanner) pass(n int, text func([]byte)) {
	if n > s.shown {
		text(s.held[s.shown:n])
	}
	s.drop(n)
}

func (s *scanner) drop(n int) {
	s.held = append(s.held[:0], s.held[n:]...)
	s.shown = max(0, s.shown-n)
}

// withoutStatus removes the status lines from console text that has come to its end.
func withoutStatus(text, nonce string) string {
	var b strings.Builder
	keep := func(p []byte) { b.Write(p) }
	s := newScanner(nonce)
	s.feed([]byte(text), keep, func([]byte) {})
	s.show(keep)
	return b.String()
}

// panicWatch finds the kernel's panic message in console text.
type panicWatch struct {
	line []byte // the current line, at most maxLine bytes of it
}

const panicWords = "Kernel panic - not syncing" // panic(), kernel/panic.c

// feed takes the next bytes of text and returns the first panic message whose line they complete.
func (w *panicWatch) feed(p []byte) (message string, found bool) {
	for len(p) > 0 {
		part, rest, ended := bytes.Cut(p, []byte("\n"))
		w.line = append(w.line, part[:min(len(part), maxLine-len(w.line))]...)
		p = rest
		if !ended {
			break
		}
		if !found {
			message, found = w.message()
		}
		w.line = w.line[:0]
	}
	return message, found
}

// message looks at the current line, which may lack its end.
func (w *panicWatch) message() (string, bool) {
	i := bytes.Index(w.line, []byte(panicWords))
	if i < 0 {
		return "", false
	}
	return printable(string(w.line[i:])), true
}
