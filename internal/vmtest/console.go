//go:build linux

package vmtest

import (
	"bytes"
	"regexp"
	"sort"
	"strings"
	"sync"
)

// console keeps all that a guest writes.
type console struct {
	mu       sync.Mutex
	cond     sync.Cond
	text     bytes.Buffer
	programs programs
	closed   bool
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cond.Broadcast()
	c.programs.add(c.text.Len(), p)
	return c.text.Write(p)
}

func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.cond.Broadcast()
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// find waits for text past *from and moves *from behind it.
func (c *console) find(from *int, text string) (before string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		b := c.text.Bytes()[*from:]
		if i := bytes.Index(b, []byte(text)); i >= 0 {
			*from += i + len(text)
			return string(b[:i]), true
		}
		if before, end, ok := c.programs.find(text, *from); ok {
			*from = end
			return before, true
		}
		if c.closed {
			return "", false
		}
		c.cond.Wait()
	}
}

// programs is a console without the kernel's messages: the kernel prints them
// when it likes, also in the middle of what a program writes. It keeps where in
// the console each byte was.
type programs struct {
	text  []byte
	at    []int
	stamp []byte // what may become a message's time: "[    1.234567] "
	inner bool   // in a message
}

// add takes more of the console, from offset on.
func (p *programs) add(offset int, more []byte) {
	for i, b := range more {
		if p.inner {
			p.inner = b != '\n'
			continue
		}
		p.stamp = append(p.stamp, b)
		switch isStamp(p.stamp) {
		case complete:
			p.inner, p.stamp = true, p.stamp[:0]
		case never:
			// Only its last byte can begin another.
			n := len(p.stamp)
			if b == '[' {
				n--
			}
			for j, c := range p.stamp[:n] {
				p.text, p.at = append(p.text, c), append(p.at, offset+i+1-len(p.stamp)+j)
			}
			p.stamp = append(p.stamp[:0], p.stamp[n:]...)
		}
	}
}

// find looks for text behind an offset of the console, and returns what is
// between them and the offset of its end.
func (p *programs) find(text string, from int) (before string, end int, ok bool) {
	start := sort.SearchInts(p.at, from)
	i := bytes.Index(p.text[start:], []byte(text))
	if i < 0 || text == "" {
		return "", 0, false
	}
	return string(p.text[start : start+i]), p.at[start+i+len(text)-1] + 1, true
}

// What a text can be to a message's time.
const (
	never = iota
	begun
	complete
)

// isStamp says what b is to the time that begins a message: seconds, padded to
// five places, and microseconds (print_time, kernel/printk/printk.c of v6.12).
func isStamp(b []byte) int {
	const digits = "0123456789"
	s, ok := strings.CutPrefix(string(b), "[")
	if !ok {
		return never
	}
	s = strings.TrimLeft(s, " ")
	s = strings.TrimLeft(s, digits)
	if s == "" {
		return begun
	}
	if s, ok = strings.CutPrefix(s, "."); !ok || !bytes.ContainsAny(b, digits) {
		return never
	}
	micros := len(s) - len(strings.TrimLeft(s, digits))
	switch rest := s[micros:]; {
	case micros == 6 && rest == "] ":
		return complete
	case micros == 6 && strings.HasPrefix("] ", rest), micros < 6 && rest == "":
		return begun
	}
	return never
}

// message is one of the kernel's on a console.
var message = regexp.MustCompile(`\[ *[0-9]+\.[0-9]{6}\] [^\n]*(\n|$)`)

// Programs is what programs have written on a console: the kernel's messages
// are left out, also those in the middle of a line.
func Programs(console string) string { return message.ReplaceAllString(console, "") }
