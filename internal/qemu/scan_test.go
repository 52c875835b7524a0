package qemu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scanned is what a scanner made of a stream.
type scanned struct {
	Text  string
	Lines []string
}

// scan feeds a stream in pieces of n bytes; show tells whether every piece is followed by a pause.
func scan(nonce, stream string, n int, show bool) scanned {
	var got scanned
	s := newScanner(nonce)
	text := func(p []byte) { got.Text += string(p) }
	line := func(p []byte) { got.Lines = append(got.Lines, string(p)) }
	for len(stream) > 0 {
		piece := stream[:min(n, len(stream))]
		stream = stream[len(piece):]
		s.feed([]byte(piece), text, line)
		if show {
			s.show(text)
		}
	}
	s.show(text)
	return got
}

func TestScanner(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     scanned
	}{
		{"nothing", "", scanned{}},
		{"text", "a\r\nb", scanned{Text: "a\r\nb"}},
		{"line", "rambox-N: boot\r\n", scanned{Lines: []string{"boot"}}},
		{"glued to noise", "[  1.0] usbrambox-N: exit 42\r\n[  1.1] more\r\n", scanned{"[  1.0] usb[  1.1] more\r\n", []string{"exit 42"}}},
		{"after an unfinished line", "$ \r\r\nrambox-N: exit 0\r\nx", scanned{"$ x", []string{"exit 0"}}},
		{"after a finished line", "hi\r\n\r\r\nrambox-N: exit 0\r\n", scanned{"hi\r\n", []string{"exit 0"}}},
		{"own line end stays", "hi\r\nrambox-N: exit 0\r\n", scanned{"hi\r\n", []string{"exit 0"}}},
		{"another nonce", "rambox-M: exit 0\r\n", scanned{Text: "rambox-M: exit 0\r\n"}},
		{"almost", "ramrambox-rambox-Nrambox-N: start\n", scanned{"ramrambox-rambox-N", []string{"start"}}},
		{"two in a row", "rambox-N: boot\r\nrambox-N: start\r\n", scanned{Lines: []string{"boot", "start"}}},
		{"without an end", "x\r\r\nrambox-N: exit 4", scanned{Text: "x"}},
		{"unfinished mark", "x\r\r\nrambox-N:", scanned{Text: "x\r\r\nrambox-N:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := 1; n <= len(tt.in)+1; n++ {
				if diff := cmp.Diff(tt.want, scan("N", tt.in, n, false)); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", n, diff)
				}
			}
			if got := scan("N", tt.in, 1, true); !cmp.Equal(got.Lines, tt.want.Lines) {
				t.Errorf("with pauses: lines %q, want %q", got.Lines, tt.want.Lines)
			}
		})
	}
}

func TestScannerPauses(t *testing.T) {
	got := scan("N", "$ ra\r\nrambox-N: exit 0\r\nm", 1, true)
	if want := "$ ra\r\nrambox-N:m"; got.Text != want {
		t.Errorf("text = %q, want %q: a pause shows what is held back, but once", got.Text, want)
	}
}

func TestScannerBounds(t *testing.T) {
	long := "rambox-N: " + strings.Repeat("y", 3*maxLine)
	got := scan("N", long+"\nrambox-N: boot\n", 1000, false)
	if want := (scanned{Text: long + "\n", Lines: []string{"boot"}}); !cmp.Equal(got, want) {
		t.Errorf("an endless status line gives %d bytes of text and lines %q", len(got.Text), got.Lines)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add("a\r\r\nrambox-N: exit 0\r\nb", 3, false)
	f.Add("rambrambox-N: x\n\r\r\n\r", 1, true)
	f.Fuzz(func(t *testing.T, stream string, n int, pause bool) {
		n = max(1, n%64)
		whole, pieces := scan("N", stream, len(stream)+1, false), scan("N", stream, n, pause)
		if !cmp.Equal(whole.Lines, pieces.Lines) {
			t.Errorf("lines of %q: whole %q, pieces %q", stream, whole.Lines, pieces.Lines)
		}
		if !pause && whole.Text != pieces.Text {
			t.Errorf("text of %q: whole %q, pieces %q", stream, whole.Text, pieces.Text)
		}
	})
}

func TestPanicWatch(t *testing.T) {
	const stream = "[ 1.0] a\r\n[    1.5] Kernel panic - not syncing: VFS: Unable to mount\r\n[ 1.6] ---[ end Kernel panic - not syncing: x\r\n"
	for n := 1; n <= len(stream); n++ {
		var w panicWatch
		var got []string
		for rest := stream; rest != ""; {
			piece := rest[:min(n, len(rest))]
			rest = rest[len(piece):]
			if message, ok := w.feed([]byte(piece)); ok {
				got = append(got, message)
			}
		}
		if len(got) == 0 || got[0] != "Kernel panic - not syncing: VFS: Unable to mount" {
			t.Errorf("in pieces of %d: %q", n, got)
		}
	}
	var w panicWatch
	w.feed([]byte(strings.Repeat("x", 10*maxLine)))
	if len(w.line) > maxLine {
		t.Errorf("an endless line holds %d bytes", len(w.line))
	}
}

func TestUncook(t *testing.T) {
	const stream, want = "a\r\nb\rc\r\r\n\r", "a\nb\rc\r\n\r"
	for n := 1; n <= len(stream); n++ {
		c := newConsoleReader("N")
		var got strings.Builder
		c.stdout = newSink(&got, func(error) {})
		c.program.Store(true)
		for rest := stream; rest != ""; {
			piece := rest[:min(n, len(rest))]
			rest = rest[len(piece):]
			c.text([]byte(piece))
		}
		c.endProgram()
		c.stdout.end()
		<-c.stdout.flushed
		if got.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", n, got.String(), want)
		}
	}
}
