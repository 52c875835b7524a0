package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEscapeKey feeds keys in every division into reads.
func TestEscapeKey(t *testing.T) {
	for _, tc := range []struct {
		key, keys, want string
		ended           bool
	}{
		{"ctrl-a", "plain", "plain", false},
		{"ctrl-a", "\x01\x01", "\x01", false},
		{"ctrl-a", "a\x01xb", "ab", true},
		{"ctrl-a", "\x01y\x01x", "\x01y", true},
		{"ctrl-a", "\x01\x01x", "\x01x", false},
		{"ctrl-]", "\x01x\x1dx", "\x01x", true},
		{"none", "\x01x\x1dx\x00x", "\x01x\x1dx\x00x", false},
	} {
		key, err := parseEscape(tc.key)
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut <= len(tc.keys); cut++ {
			ended := false
			e := escape{key: key, end: func() { ended = true }}
			got := string(e.filter([]byte(tc.keys[:cut]))) + string(e.filter([]byte(tc.keys[cut:])))
			if got != tc.want || ended != tc.ended {
				t.Errorf("%s: %q cut at %d: %q, %v, want %q, %v", tc.key, tc.keys, cut, got, ended, tc.want, tc.ended)
			}
		}
	}
}

func TestParseEscape(t *testing.T) {
	for in, want := range map[string]int{
		"ctrl-a": 1, "Ctrl-Z": 26, "^]": 0x1d, "ctrl-^": 0x1e, "ctrl-_": 0x1f, `ctrl-\`: 0x1c, "none": 0,
		"": -1, "a": -1, "ctrl-": -1, "ctrl-aa": -1, "ctrl-1": -1, "ctrl-@": -1, "^": -1,
	} {
		got, err := parseEscape(in)
		if (err != nil) != (want < 0) || err == nil && int(got) != want {
			t.Errorf("parseEscape(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
}

// TestScreenModes feeds output in every division into writes.
func TestScreenModes(t *testing.T) {
	for _, tc := range []struct{ name, output, want string }{
		{"plain", "text\r\n", ""},
		{"an editor that ended", "\x1b[?1049h\x1b[?25lx\x1b[?25h\x1b[?1049l", ""},
		{"an editor that was cut off", "\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\x1b[?2004h\x1b[?25lx", "\x1b[?1049l\x1b[?1l\x1b[?2004l\x1b[?25h\x1b>"},
		{"several in one", "\x1b[?1000;1006h", "\x1b[?1000l\x1b[?1006l"},
		{"colour", "\x1b[31mred", "\x1b[m"},
		{"colour that ended", "\x1b[1;31mred\x1b[0m, \x1b[32mgreen\x1b[m", ""},
		{"no wrapping", "\x1b[?7l", "\x1b[?7h"},
		{"reset", "\x1b[?25l\x1b[1m\x1bc", ""},
		{"other sequences", "\x1b]0;title\x07\x1b(B\x1b[>1h\x1b[4h", ""},
		{"nonsense", "\x1b[" + strings.Repeat("1;", 100) + "m\x1b[?x;h\x1b[?99999999999999999999h", ""},
	} {
		for cut := 0; cut <= len(tc.output); cut++ {
			var s screenModes
			s.Write([]byte(tc.output[:cut]))
			s.Write([]byte(tc.output[cut:]))
			if got := s.reset(); got != tc.want {
				t.Errorf("%s: cut at %d: %q, want %q", tc.name, cut, got, tc.want)
			}
		}
	}
}

// TestRecording divides output anywhere, also within a character.
func TestRecording(t *testing.T) {
	for _, tc := range []struct {
		name, out, want string
		tty             bool
	}{
		{"pipe", "one\ntwo\r\n\nü€😀", "one\r\ntwo\r\n\r\nü€😀", false},
		{"terminal", "one\r\n\x1b[31mtwo\nü€😀", "one\r\n\x1b[31mtwo\nü€😀", true},
		{"no text", "\xff\x00\xe2\x82", "\ufffd\x00\ufffd\ufffd", false},
	} {
		for cut := 0; cut <= len(tc.out); cut++ {
			file := filepath.Join(t.TempDir(), "r.cast")
			r, err := newRecorder(file, []string{"prog", "argument"})
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			w := r.tee(&out, tc.tty)
			w.Write([]byte(tc.out[:cut]))
			w.Write([]byte(tc.out[cut:]))
			w.finish()
			r.resized(100, 30)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			header, text, sizes := readCast(t, file)
			if out.String() != tc.out || text != tc.want {
				t.Errorf("%s: cut at %d: written %q, recorded %q, want %q", tc.name, cut, out.String(), text, tc.want)
			}
			if diff := cmp.Diff([]string{"100x30"}, sizes); diff != "" || header.Version != 2 || header.Width == 0 || header.Height == 0 || header.Command != "prog argument" {
				t.Errorf("%s: header %+v, sizes %q", tc.name, header, sizes)
			}
		}
	}
	if _, err := newRecorder("/no/such/directory/file", nil); err == nil {
		t.Error("a recording was made in a directory that is not there")
	}
}

// readCast reads a recording as asciinema does.
func readCast(t *testing.T, file string) (header castHeader, text string, sizes []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	if err := d.Decode(&header); err != nil {
		t.Fatal(err)
	}
	for last := 0.0; d.More(); {
		var at float64
		var code, data string
		if err := d.Decode(&[]any{&at, &code, &data}); err != nil {
			t.Fatal(err)
		}
		if at < last {
			t.Errorf("%f comes after %f", at, last)
		}
		last = at
		switch code {
		case "o":
			text += data
		case "r":
			sizes = append(sizes, data)
		default:
			t.Errorf("an event of kind %q", code)
		}
	}
	return header, text, sizes
}
