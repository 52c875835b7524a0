//go:build linux

package run

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// screen is a terminal with a person at it.
type screen struct {
	t    *testing.T
	pty  *os.File
	tty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
	read int
}

// sit starts rambox on a terminal of 30 rows and 100 columns.
func sit(t *testing.T, args ...string) *screen {
	t.Helper()
	p, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(p, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, pty: p, tty: tty}
	s.cmd = exec.Command(vmtest.Rambox(t), append([]string{"run", "--kernel", vmtest.CloudKernel(t).Path}, args...)...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		p.Close()
		tty.Close()
	})
	return s
}

func (s *screen) expect(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		b := s.text.Bytes()[s.read:]
		i := bytes.Index(b, []byte(text))
		if i >= 0 {
			s.read += i + len(text)
		}
		s.mu.Unlock()
		if i >= 0 {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("the screen never showed %q:\n%s", text, s.text.String())
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
	timer := time.AfterFunc(40*time.Second, func() { s.cmd.Process.Kill() })
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

func TestShell(t *testing.T) {
	s := sit(t, "--shell")
	before := s.modes()
	s.expect("# ")
	s.send("stty size; tty; echo $TERM\n")
	s.expect("30 100")
	s.expect("/dev/pts/")
	s.expect("xterm-256color")
	s.expect("# ")
	if s.modes() == before {
		t.Error("the terminal is not in raw mode")
	}

	// Job control: stop a program, look at it, end it.
	s.send("sh -c 'echo star\"\"ted; sleep 1000'\n")
	s.expect("started")
	s.send("\x1a")
	s.expect("Stopped")
	s.expect("# ")
	s.send("jobs; kill -KILL %1; wait; echo wait''ed\n")
	s.expect("waited")
	s.expect("# ")

	// A new size reaches programs in the guest.
	s.send("trap 'stty size' WINCH; echo tra''pped\n")
	s.expect("trapped")
	if err := pty.Setsize(s.pty, &pty.Winsize{Rows: 41, Cols: 123}); err != nil {
		t.Fatal(err)
	}
	s.send("\n")
	s.send("stty size\n")
	s.expect("41 123")

	s.send("exit 7\n")
	if got := s.end(); got != 7 {
		t.Errorf("status %d, want 7", got)
	}
	if s.modes() != before {
		t.Error("the terminal is not as it was")
	}
}

// TestTerminalAfterACrash: whatever ends the guest, the terminal is as before.
func TestTerminalAfterACrash(t *testing.T) {
	for _, tc := range []struct {
		name, keys string
		want       int
	}{
		{"kernel panic", "echo c > /proc/sysrq-trigger\n", 123},
		{"escape", "\x01x", 130},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sit(t, "--shell")
			before := s.modes()
			s.expect("ctrl-a x")
			s.expect("# ")
			s.send(tc.keys)
			if got := s.end(); got != tc.want {
				t.Errorf("status %d, want %d", got, tc.want)
			}
			if s.modes() != before {
				t.Error("the terminal is not as it was")
			}
		})
	}
}

// TestShellWithoutATerminal is refused with a reason.
func TestShellWithoutATerminal(t *testing.T) {
	got := run(t, nil, "--shell")
	if got.status != 125 || !strings.Contains(got.stderr, "want a terminal") {
		t.Errorf("status %d, error %q", got.status, got.stderr)
	}
}

// TestInterrupted leaves nothing behind: no QEMU, and the status of a program
// that a signal has ended.
func TestInterrupted(t *testing.T) {
	cmd := exec.Command(vmtest.Rambox(t), "run", "--kernel", vmtest.CloudKernel(t).Path, "--", "sh", "-c", "echo up; sleep 1000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	children := vmtest.Command(t, "pgrep", "-P", strconv.Itoa(cmd.Process.Pid))
	cmd.Process.Signal(unix.SIGINT)
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("status %d, want 130", got)
	}
	for _, pid := range strings.Fields(children) {
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Errorf("process %s still runs", pid)
		}
	}
}
