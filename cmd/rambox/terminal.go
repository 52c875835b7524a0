package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"rambox/internal/qemu"
)

// terminalOptions are the flags of rambox run about the terminal.
type terminalOptions struct {
	shell, tty, interactive bool
	escape                  string
}

func (o *terminalOptions) register(f *pflag.FlagSet) {
	f.BoolVar(&o.shell, "shell", false, "a shell on this terminal instead of a program")
	f.BoolVarP(&o.tty, "tty", "t", false, "give the program a terminal: this one")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "pass standard input on; always so, for the habit of -it")
	f.StringVar(&o.escape, "escape", "ctrl-a", "with --shell and --tty: the key before x that ends the machine, such as ctrl-], or none")
}

// check reports what is wrong before anything starts.
func (o *terminalOptions) check() error {
	if _, err := parseEscape(o.escape); err != nil {
		return fmt.Errorf("--escape %s: %w", o.escape, err)
	}
	if o.tty && !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("--shell and --tty want a terminal as standard input; without them, the program gets pipes")
	}
	return nil
}

// typeAhead bounds, in bytes, what is read for a guest that takes no input.
const typeAhead = 1 << 20

// terminal is this process's own, in raw mode: every key goes to the guest but
// one. It is an io.Reader of what is typed.
type terminal struct {
	fd     int
	before *term.State
	guard  *guard
	sizes  chan qemu.Winsize
	escape escape
	screen screenModes
	end    func(why error)

	mu      sync.Mutex
	changed sync.Cond
	typed   []byte // not yet read
	wanted  bool   // the guest takes input
	err     error  // why nothing more will be typed
}

// openTerminal puts the terminal into raw mode. end is called when the user
// asks for the end of the machine, resized when the terminal has another size.
func openTerminal(escapeName string, end func(why error), resized func(cols, rows int)) (*terminal, error) {
	key, err := parseEscape(escapeName)
	if err != nil {
		return nil, err
	}
	t := &terminal{fd: int(os.Stdin.Fd()), sizes: make(chan qemu.Winsize, 1), end: end}
	t.changed.L = &t.mu
	t.escape = escape{key: key, end: func() { end(errors.New("ended by " + escapeName + " x")) }}
	if t.guard, err = startGuard(t.fd); err != nil {
		return nil, err
	}
	if t.before, err = term.MakeRaw(t.fd); err != nil {
		t.guard.release()
		return nil, fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	t.guard.expect(t.fd)
	fmt.Fprintf(os.Stderr, "rambox: %s\r\n", escapeHelp(escapeName))
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	t.sendSize()
	go func() {
		for range changed {
			if cols, rows, ok := t.sendSize(); ok {
				resized(cols, rows)
			}
		}
	}()
	go t.pump(os.Stdin)
	return t, nil
}

// sendSize replaces a size that nobody has taken yet.
func (t *terminal) sendSize() (cols, rows int, ok bool) {
	cols, rows, err := term.GetSize(t.fd)
	if err != nil {
		return 0, 0, false
	}
	select {
	case <-t.sizes:
	default:
	}
	t.sizes <- qemu.Winsize{Rows: uint16(rows), Cols: uint16(cols)}
	return cols, rows, true
}

// pump reads the keys as they are typed, so that the escape key works while
// the guest boots, or hangs.
func (t *terminal) pump(from io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		t.mu.Lock()
		keys := t.escape.filter(buf[:n])
		if !t.wanted && contains(keys, interruptKey) {
			t.end(errors.New("ended by ctrl-c before the program ran"))
		}
		t.typed, t.err = append(t.typed, keys...), err
		t.changed.Broadcast()
		for len(t.typed) > typeAhead {
			t.changed.Wait()
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Read is what has been typed, less the escape key. The first call says that
// the guest takes input.
func (t *terminal) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = true
	for len(t.typed) == 0 && t.err == nil {
		t.changed.Wait()
	}
	n := copy(p, t.typed)
	t.typed = t.typed[n:]
	t.changed.Broadcast()
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	if errors.Is(t.err, syscall.EIO) {
		return 0, io.EOF // the terminal was hung up (tty_ioctl(4))
	}
	return 0, t.err
}

// restore gives the terminal back as it was.
func (t *terminal) restore() {
	signal.Reset(syscall.SIGWINCH)
	if left := t.screen.reset(); left != "" {
		fmt.Fprint(os.Stdout, left)
	}
	_ = term.Restore(t.fd, t.before)
	t.guard.release()
}

// watch is w, with an eye on what the guest does to the screen.
func (t *terminal) watch(w io.Writer) io.Writer { return io.MultiWriter(w, &t.screen) }
