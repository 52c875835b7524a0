package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// progressLine shows the last line written to it, in one line of the terminal
// that standard error is. Elsewhere it shows nothing.
type progressLine struct {
	file  *os.File
	on    bool
	shown bool
}

func newProgress() *progressLine {
	return &progressLine{file: os.Stderr, on: term.IsTerminal(int(os.Stderr.Fd()))}
}

// Write takes whole lines.
func (l *progressLine) Write(p []byte) (int, error) {
	if !l.on {
		return len(p), nil
	}
	lines := bytes.Split(bytes.TrimRight(p, "\n"), []byte("\n"))
	line := []rune(string(lines[len(lines)-1]))
	if cols, _, err := term.GetSize(int(l.file.Fd())); err == nil && cols > 1 && len(line) >= cols {
		line = line[:cols-1]
	}
	l.shown = true
	fmt.Fprintf(l.file, "\r\x1b[K%s", string(line))
	return len(p), nil
}

// done takes the line away.
func (l *progressLine) done() {
	if l.shown {
		fmt.Fprint(l.file, "\r\x1b[K")
		l.shown = false
	}
}

// counted is a writer to w that shows how much of the whole has been written,
// now and then.
func (l *progressLine) counted(w io.Writer, what string) io.Writer {
	if !l.on {
		return w
	}
	return &counter{to: w, line: l, what: what}
}

// counterStep is how many bytes there are between two looks at a counter. An
// image with less in it is there at once.
const counterStep = 32 << 20

type counter struct {
	to   io.Writer
	line *progressLine
	what string
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	if before := c.n; before/counterStep != (before+int64(n))/counterStep {
		fmt.Fprintf(c.line, "%s: %d MiB\n", c.what, (before+int64(n))/mebibyte)
	}
	c.n += int64(n)
	return n, err
}

// interruptible is a context that ends with a signal, so that what is half
// done is removed.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// until is a writer to w that refuses when ctx has ended.
func until(ctx context.Context, w io.Writer) io.Writer { return untilWriter{ctx, w} }

type untilWriter struct {
	ctx context.Context
	to  io.Writer
}

func (u untilWriter) Write(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.to.Write(p)
}
