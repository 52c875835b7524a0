package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Keys with a meaning of their own. The default escape key and what follows it
// are those of QEMU's own console.
const (
	interruptKey = 'c' & 0x1f // ctrl-c
	endKey       = 'x'
	noEscape     = "none"
)

// parseEscape reads the name of a control key: ctrl-a, ctrl-], ^], or none,
// which is 0. A NUL (ctrl-@) cannot be one.
func parseEscape(name string) (key byte, err error) {
	if name == noEscape {
		return 0, nil
	}
	rest, ok := strings.CutPrefix(strings.ToLower(name), "ctrl-")
	if !ok {
		rest, ok = strings.CutPrefix(strings.ToLower(name), "^")
	}
	if ok && len(rest) == 1 && strings.Contains(`abcdefghijklmnopqrstuvwxyz[\]^_`, rest) {
		return rest[0] & 0x1f, nil
	}
	return 0, errors.New("want ctrl-a to ctrl-z, ctrl-], ctrl-^, ctrl-_, ctrl-\\, or none")
}

// escapeHelp is what the user is told at the start.
func escapeHelp(name string) string {
	if name == noEscape {
		return "the machine ends with its program; there is no escape key"
	}
	return fmt.Sprintf("%s x ends the machine, %[1]s %[1]s is a %[1]s for the program", name)
}

// escape takes the escape key out of what is typed.
type escape struct {
	key     byte // 0 is none
	end     func()
	pressed bool // the escape key was the last one
}

// filter returns the keys for the guest. Before a key that means nothing to
// it, the escape key stays; the result is longer then by one that an earlier
// call took out.
func (e *escape) filter(keys []byte) []byte {
	if e.key == 0 {
		return keys
	}
	var kept []byte
	for _, c := range keys {
		switch {
		case e.pressed && c == endKey:
			e.end()
		case e.pressed && c != e.key:
			kept = append(kept, e.key, c)
		case e.pressed || c != e.key:
			kept = append(kept, c)
		}
		e.pressed = !e.pressed && c == e.key
	}
	return kept
}

func contains(keys []byte, key byte) bool { return bytes.IndexByte(keys, key) >= 0 }
