//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
)

// logger writes lines for init, which puts them on the console.
type logger struct {
	w io.Writer
}

// printf writes one line by one write. Control characters become "?": some of
// the text is a server's, and a terminal may be at the other end.
func (l logger) printf(format string, a ...any) {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, a...))
	io.WriteString(l.w, line+"\n")
}
