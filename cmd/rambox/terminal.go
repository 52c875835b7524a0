package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"rambox/internal/qemu"
)

// terminal is this process's own, in raw mode: every key goes to the guest but
// one.
type terminal struct {
	fd     int
	before *term.State
	sizes  chan qemu.Winsize
	end    func()
	prefix bool // the escape key has been pressed
}

// The escape key and what follows it are those of QEMU's own console.
const (
	escapeKey = 'a' & 0x1f // ctrl-a
	endKey    = 'x'
)

// openTerminal puts the terminal into raw mode. end is called when the user
// asks for the end of the machine.
func openTerminal(end func()) (*terminal, error) {
	t := &terminal{fd: int(os.Stdin.Fd()), sizes: make(chan qemu.Winsize, 1), end: end}
	if !term.IsTerminal(t.fd) {
		return nil, errors.New("--shell and --tty want a terminal as standard input")
	}
	before, err := term.MakeRaw(t.fd)
	if err != nil {
		return nil, fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	t.before = before
	fmt.Fprintf(os.Stderr, "rambox: ctrl-a x ends the machine, ctrl-a ctrl-a is a ctrl-a for the program\r\n")
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	t.sendSize()
	go func() {
		for range resized {
			t.sendSize()
		}
	}()
	return t, nil
}

// sendSize replaces a size that nobody has taken yet.
func (t *terminal) sendSize() {
	cols, rows, err := term.GetSize(t.fd)
	if err != nil {
		return
	}
	select {
	case <-t.sizes:
	default:
	}
	t.sizes <- qemu.Winsize{Rows: uint16(rows), Cols: uint16(cols)}
}

// Read is standard input less the escape key.
func (t *terminal) Read(p []byte) (int, error) {
	for {
		// One byte less: filter may give back an escape key of last time.
		n, err := os.Stdin.Read(p[:len(p)-1])
		if kept := t.filter(p[:n]); len(kept) > 0 || err != nil {
			return copy(p, kept), err
		}
	}
}

// filter takes the escape key out of keys. Before a key that means nothing to
// it, it stays; the result is longer then by one that an earlier call took out.
func (t *terminal) filter(keys []byte) []byte {
	var kept []byte
	for _, c := range keys {
		switch {
		case t.prefix && c == endKey:
			t.end()
		case t.prefix && c != escapeKey:
			kept = append(kept, escapeKey, c)
		case t.prefix || c != escapeKey:
			kept = append(kept, c)
		}
		t.prefix = !t.prefix && c == escapeKey
	}
	return kept
}

// restore gives the terminal back as it was.
func (t *terminal) restore() {
	signal.Reset(syscall.SIGWINCH)
	_ = term.Restore(t.fd, t.before)
}
