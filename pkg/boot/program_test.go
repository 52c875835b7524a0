//go:build linux

package boot

import (
	"bytes"
	"strings"
	"testing"
)

// staticELF is what init reads of a static 64-bit program: the header, and one
// program header, of type PT_LOAD.
func staticELF() string {
	header := []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 64-7))
	header[32] = 64 // e_phoff
	header[54] = 56 // e_phentsize
	header[56] = 1  // e_phnum
	return string(header) + "\x01" + strings.Repeat("\x00", 55)
}

func FuzzInterpreterOf(f *testing.F) {
	f.Add([]byte(staticELF()))
	f.Add([]byte("#!/bin/sh -e\n"))
	f.Add([]byte("#! \n"))
	f.Add([]byte("\x7fELF\x02\x01" + strings.Repeat("\xff", 100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		interpreter, err := interpreterOf(bytes.NewReader(b))
		if err != nil && interpreter != "" {
			t.Errorf("interpreterOf(%q) = %q and %v", b, interpreter, err)
		}
	})
}
