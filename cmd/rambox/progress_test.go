package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// TestProgressLine is on a terminal of ten columns, and off it.
func TestProgressLine(t *testing.T) {
	p, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer tty.Close()
	if err := pty.Setsize(p, &pty.Winsize{Rows: 5, Cols: 10}); err != nil {
		t.Fatal(err)
	}
	line := &progressLine{file: tty, on: true}
	io.WriteString(line, "one\n")
	io.WriteString(line, "two\nthree\n")
	io.WriteString(line, "äöü is longer\n")
	w := line.counted(io.Discard, "f")
	for range 64 {
		w.Write(make([]byte, 1<<20))
	}
	line.done()
	line.done()
	const want = "\r\x1b[Kone\r\x1b[Kthree\r\x1b[Käöü is lo\r\x1b[Kf: 32 MiB\r\x1b[Kf: 64 MiB\r\x1b[K"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("the terminal gets %q, want %q", got, want)
	}
	var quiet progressLine
	io.WriteString(&quiet, "nothing\n") // would fail without a file
	quiet.done()
	if w := quiet.counted(p, "f"); w != io.Writer(p) {
		t.Error("there is a counter where nobody looks at it")
	}
}

func TestUntil(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	var out strings.Builder
	w := until(ctx, &out)
	io.WriteString(w, "before")
	enough := errors.New("enough")
	cancel(enough)
	if _, err := io.WriteString(w, "after"); !errors.Is(err, enough) || out.String() != "before" {
		t.Errorf("%v, %q", err, out.String())
	}
}
