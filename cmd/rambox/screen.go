package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// screenModes follows what a guest's programs switch on a terminal and would
// have switched back had they ended by themselves: an editor's second screen,
// a hidden cursor, the mouse. It is an io.Writer of their output.
type screenModes struct {
	mu       sync.Mutex
	changed  map[int]bool // private modes that are not as usual
	order    []int        // the same, as they came
	keypad   bool         // DECKPAM
	coloured bool         // the last SGR was not a reset
	sequence []byte       // an escape sequence, from ESC on, that has not ended
}

// The private modes that terminals have on at the start: the cursor (DECTCEM)
// and the wrapping of lines (DECAWM); xterm's ctlseqs lists them all.
const cursorMode, wrapMode = 25, 7

// sequenceMax is longer than any sequence that matters here.
const sequenceMax = 64

func (s *screenModes) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range p {
		switch {
		case c == 0x1b:
			s.sequence = append(s.sequence[:0], c)
		case len(s.sequence) == 0:
		case len(s.sequence) == sequenceMax:
			s.sequence = s.sequence[:0]
		default:
			s.sequence = append(s.sequence, c)
			if s.ends(c) {
				s.apply(string(s.sequence[1:]))
				s.sequence = s.sequence[:0]
			}
		}
	}
	return len(p), nil
}

// ends reports whether c is the last byte of the sequence: of a CSI sequence
// one from @ on (ECMA-48, 5.4), of another the first that is no intermediate.
func (s *screenModes) ends(c byte) bool {
	if s.sequence[1] == '[' {
		return len(s.sequence) > 2 && c >= '@'
	}
	return c >= '0'
}

func (s *screenModes) apply(sequence string) {
	last := sequence[len(sequence)-1]
	switch {
	case sequence == "=" || sequence == ">":
		s.keypad = sequence == "="
	case sequence == "c": // RIS
		s.changed, s.order, s.keypad, s.coloured = nil, nil, false, false
	case last == 'm' && strings.Trim(sequence, "[0123456789;:m") == "":
		s.coloured = strings.Trim(sequence, "[0;m") != ""
	case strings.HasPrefix(sequence, "[?") && (last == 'h' || last == 'l'):
		for word := range strings.SplitSeq(sequence[2:len(sequence)-1], ";") {
			if mode, err := strconv.Atoi(word); err == nil {
				s.set(mode, last == 'h')
			}
		}
	}
}

func (s *screenModes) set(mode int, on bool) {
	usual := mode == cursorMode || mode == wrapMode
	if s.changed == nil {
		s.changed = map[int]bool{}
	}
	if _, known := s.changed[mode]; !known && on != usual {
		s.order = append(s.order, mode)
	}
	s.changed[mode] = on != usual
}

// reset is what makes the screen as usual again.
func (s *screenModes) reset() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for _, mode := range s.order {
		switch {
		case !s.changed[mode]:
		case mode == cursorMode || mode == wrapMode:
			fmt.Fprintf(&out, "\x1b[?%dh", mode)
		default:
			fmt.Fprintf(&out, "\x1b[?%dl", mode)
		}
	}
	if s.keypad {
		out.WriteString("\x1b>")
	}
	if s.coloured {
		out.WriteString("\x1b[m")
	}
	return out.String()
}
