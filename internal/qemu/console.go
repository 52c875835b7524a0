package qemu

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// pause is how long the start of what may become a status line is held back from a person at a terminal.
const pause = 50 * time.Millisecond

// consoleReader is what a session does with the console: status lines and panics are reported, and text goes to the log or,
// while a program has no other output, to the program's stdout.
type consoleReader struct {
	status   func(status)
	panicked func(message string)
	log      io.Writer    // may be nil
	stdout   *sink        // the program's, when the console is all it has
	tty      bool         // stdout is a terminal
	control  *atomic.Bool // the guest has spoken on the control port: the program has ports

	mu      sync.Mutex
	scan    *scanner
	watch   panicWatch
	timer   *time.Timer
	program atomic.Bool // the text is the program's output
	cr      bool        // a \r has been held back: \n may follow
}

func newConsoleReader(nonce string) *consoleReader {
	c := &consoleReader{scan: newScanner(nonce)}
	c.timer = time.AfterFunc(time.Hour, c.show)
	c.timer.Stop()
	return c
}

// Write takes the console's next bytes; it never fails.
func (c *consoleReader) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan.feed(p, c.text, c.line)
	c.timer.Reset(pause)
	return len(p), nil
}

func (c *consoleReader) show() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan.show(c.text)
}

// finish passes on what is still held back, at the end of the stream.
func (c *consoleReader) finish() {
	c.timer.Stop()
	c.show()
	c.mu.Lock()
	defer c.mu.Unlock()
	if message, ok := c.watch.message(); ok {
		c.panicked(message)
	}
	c.endProgram()
}

func (c *consoleReader) line(body []byte) {
	st, ok := parseStatus(string(body))
	if !ok {
		return
	}
	st.console = true
	switch {
	case st.kind == "start" && !c.control.Load():
		c.program.Store(true)
	case st.ends():
		c.endProgram()
	}
	c.status(st)
}

// endProgram says that the console is the kernel's again.
func (c *consoleReader) endProgram() {
	if c.program.Load() && c.cr {
		c.stdout.put([]byte{'\r'})
	}
	c.program.Store(false)
}

func (c *consoleReader) text(p []byte) {
	if message, ok := c.watch.feed(p); ok {
		c.panicked(message)
	}
	switch {
	case c.program.Load() && c.tty:
		c.stdout.put(p)
	case c.program.Load():
		c.stdout.put(c.uncook(p))
	case c.log != nil:
		if _, err := c.log.Write(p); err != nil {
			c.log = nil // the guest is not to suffer from a closed log
		}
	}
}

// uncook undoes what a terminal does to output: \n becomes \r\n (ONLCR, termios(3)).
func (c *consoleReader) uncook(p []byte) []byte {
	out := make([]byte, 0, len(p)+1)
	for _, b := range p {
		if c.cr && b != '\n' {
			out = append(out, '\r')
		}
		if c.cr = b == '\r'; !c.cr {
			out = append(out, b)
		}
	}
	return out
}
