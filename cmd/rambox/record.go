package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// recorder writes what a run shows, with times, in asciinema's format
// (asciicast v2): a header, then a line for each piece of output, [seconds,
// "o", text]. What is not UTF-8 becomes U+FFFD. Input is not recorded.
type recorder struct {
	mu    sync.Mutex
	file  *os.File
	began time.Time
	err   error // the first failure; recording has ended then
}

// castHeader is the first line of a recording.
type castHeader struct {
	Version   int               `json:"version"`
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	Timestamp int64             `json:"timestamp"`
	Command   string            `json:"command,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
}

// newRecorder creates the file. Without a terminal the recording is 80 columns
// wide and 24 rows high.
func newRecorder(name string, command []string) (*recorder, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	r := &recorder{file: f, began: time.Now()}
	h := castHeader{Version: 2, Width: 80, Height: 24, Timestamp: r.began.Unix(), Command: strings.Join(command, " ")}
	for _, screen := range []*os.File{os.Stdout, os.Stdin} {
		if cols, rows, err := term.GetSize(int(screen.Fd())); err == nil && cols > 0 && rows > 0 {
			h.Width, h.Height = cols, rows
			break
		}
	}
	if t := os.Getenv("TERM"); t != "" {
		h.Env = map[string]string{"TERM": t}
	}
	r.line(h)
	return r, r.err
}

// line appends one line of JSON.
func (r *recorder) line(v any) {
	if r.err != nil {
		return
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if r.err = e.Encode(v); r.err == nil {
		_, r.err = r.file.Write(b.Bytes())
	}
}

func (r *recorder) event(code, data string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line([]any{json.RawMessage(fmt.Sprintf("%.6f", time.Since(r.began).Seconds())), code, data})
}

// resized notes a new size of the terminal.
func (r *recorder) resized(cols, rows int) { r.event("r", fmt.Sprintf("%dx%d", cols, rows)) }

// Close returns the first error of the recording.
func (r *recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(r.err, r.file.Close()); err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	return nil
}

// tee is a writer to w of which the recording gets a copy. Without a terminal,
// a newline is recorded as what a terminal makes of it.
func (r *recorder) tee(w io.Writer, tty bool) *tee { return &tee{rec: r, to: w, tty: tty} }

type tee struct {
	rec  *recorder
	to   io.Writer
	tty  bool
	part []byte // the beginning of a character, or of \r\n
	cr   bool   // the last byte was \r
}

func (t *tee) Write(p []byte) (int, error) {
	n, err := t.to.Write(p)
	if text := t.text(p[:n]); text != "" {
		t.rec.event("o", text)
	}
	return n, err
}

// text is what of p and of earlier bytes is whole characters.
func (t *tee) text(p []byte) string {
	b := append(t.part, p...)
	end := len(b)
	for i := max(0, end-utf8.UTFMax+1); i < end; i++ {
		if utf8.RuneStart(b[i]) && !utf8.FullRune(b[i:]) {
			end = i
		}
	}
	t.part = bytes.Clone(b[end:])
	return t.cook(b[:end])
}

// cook makes \r\n of a newline that has none before it.
func (t *tee) cook(b []byte) string {
	if t.tty {
		return string(b)
	}
	var out strings.Builder
	for _, c := range b {
		if c == '\n' && !t.cr {
			out.WriteByte('\r')
		}
		t.cr = c == '\r'
		out.WriteByte(c)
	}
	return out.String()
}

// finish records the beginning of a character that never ended.
func (t *tee) finish() {
	if len(t.part) > 0 {
		t.rec.event("o", t.cook(t.part))
		t.part = nil
	}
}
