//go:build linux

package run

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// screenLimit is how long a text may take to appear, and rambox to end.
const screenLimit = 40 * time.Second

// screen is a terminal with a person at it.
type screen struct {
	t       *testing.T
	pty     *os.File
	tty     *os.File
	cmd     *exec.Cmd
	mark    mark
	mu      sync.Mutex
	changed sync.Cond
	text    bytes.Buffer
	late    bool // the limit of an expectation has passed
	read    int
}

// sit is for rambox run on a terminal of 30 rows and 100 columns.
func sit(t *testing.T, args ...string) *screen {
	t.Helper()
	return sitAt(t, append([]string{"run", "--kernel", kernel(t)}, args...)...)
}

// sitAt is for any command of rambox's.
func sitAt(t *testing.T, args ...string) *screen {
	t.Helper()
	p, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(p, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, pty: p, tty: tty, mark: newMark(t)}
	s.changed.L = &s.mu
	s.cmd = exec.Command(vmtest.Rambox(t), args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.Env = append(s.mark.environ(), "TERM=xterm-256color")
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	t.Cleanup(func() {
		if s.cmd.Process != nil {
			s.cmd.Process.Kill()
		}
		p.Close()
		tty.Close()
	})
	return s
}

// start starts rambox, and the reading of what it shows.
func (s *screen) start() {
	s.t.Helper()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := s.pty.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.changed.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

// expect waits for text behind what was expected before.
func (s *screen) expect(text string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = false
	timer := time.AfterFunc(screenLimit, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.late = true
		s.changed.Broadcast()
	})
	defer timer.Stop()
	for {
		i := bytes.Index(s.text.Bytes()[s.read:], []byte(text))
		if i >= 0 {
			s.read += i + len(text)
			return
		}
		if s.late {
			s.t.Fatalf("%q: the screen never showed %q:\n%s", s.cmd.Args, text, s.text.String())
		}
		s.changed.Wait()
	}
}

func (s *screen) send(text string) {
	s.t.Helper()
	if _, err := s.pty.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for rambox and returns its status.
func (s *screen) end() int {
	s.t.Helper()
	timer := time.AfterFunc(screenLimit, func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func (s *screen) modes() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

func (s *screen) signal(sig unix.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the process of rambox's whose command line has the text.
func (s *screen) kill(text string) {
	s.t.Helper()
	killed := 0
	for pid, command := range s.mark.processes() {
		if strings.Contains(command, text) {
			killed++
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	if killed != 1 {
		s.t.Errorf("%d processes have %q in their command line, want 1", killed, text)
	}
}
