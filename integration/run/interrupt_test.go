//go:build linux

package run

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// marked is a run in a process group of its own, as a shell starts it.
type marked struct {
	t              *testing.T
	mark           mark
	cmd            *exec.Cmd
	stdout, stderr io.Reader
}

// startMarked starts rambox run by way of other programs, if there are any.
func startMarked(t *testing.T, via []string, args ...string) *marked {
	t.Helper()
	argv := append(via[:len(via):len(via)], vmtest.Rambox(t), "run", "--kernel", kernel(t))
	argv = append(argv, args...)
	m := &marked{t: t, mark: newMark(t), cmd: exec.Command(argv[0], argv[1:]...)}
	m.cmd.Env = m.mark.environ()
	m.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	var err error
	if m.stdout, err = m.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if m.stderr, err = m.cmd.StderrPipe(); err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

// interrupt is the terminal's ctrl-c.
func (m *marked) interrupt() {
	m.t.Helper()
	if err := unix.Kill(-m.cmd.Process.Pid, unix.SIGINT); err != nil {
		m.t.Fatal(err)
	}
}

// end waits for rambox, which must have been ended by the ctrl-c, and looks for
// what it has left.
func (m *marked) end() {
	m.t.Helper()
	timer := time.AfterFunc(screenLimit, func() { m.cmd.Process.Kill() })
	defer timer.Stop()
	errs, _ := io.ReadAll(m.stderr)
	m.cmd.Wait()
	state, ok := m.cmd.ProcessState.Sys().(interface{ Signal() unix.Signal })
	if m.cmd.ProcessState.ExitCode() != 130 && (!ok || state.Signal() != unix.SIGINT) {
		m.t.Errorf("%q ended with %v, want 130 or the signal\n%s", m.cmd.Args, m.cmd.ProcessState, errs)
	}
	m.mark.clean()
}

// moments are delays after the start. Where a run is by then depends on the
// machine; nothing here depends on that.
var moments = [...]time.Duration{
	0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 35 * time.Millisecond, 50 * time.Millisecond,
	80 * time.Millisecond, 120 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
}

// TestInterruptedAnywhere: ctrl-c at any moment leaves no process and no file.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	for _, delay := range moments {
		t.Run(fmt.Sprintf("after %v", delay), func(t *testing.T) {
			t.Parallel()
			m := startMarked(t, nil, "--", "sleep", "100")
			time.Sleep(delay) // the moment itself, not a wait for anything
			m.interrupt()
			m.end()
		})
	}
	for _, n := range []int64{1, 300, 3000, 8000, 12000} {
		t.Run(fmt.Sprintf("after %d bytes of the console", n), func(t *testing.T) {
			t.Parallel()
			m := startMarked(t, nil, "--verbose", "--", "sleep", "100")
			if _, err := io.CopyN(io.Discard, m.stderr, n); err != nil {
				t.Error(err)
			}
			m.interrupt()
			m.end()
		})
	}
	t.Run("in the program", func(t *testing.T) {
		t.Parallel()
		m := startMarked(t, nil, "--", "sh", "-c", "echo up; exec sleep 100")
		m.expect("up\n")
		m.interrupt()
		m.end()
	})
}

// expect reads the program's next output.
func (m *marked) expect(text string) {
	m.t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(m.stdout, got); err != nil || string(got) != text {
		errs, _ := io.ReadAll(m.stderr)
		m.t.Fatalf("%q: output %q, %v, want %q\n%s", m.cmd.Args, got, err, text, errs)
	}
}

// TestInterruptedTwice: a program that takes the first ctrl-c for itself does
// not get the second.
func TestInterruptedTwice(t *testing.T) {
	t.Parallel()
	m := startMarked(t, nil, "--", "sh", "-c", `trap 'echo first' INT; echo up; while :; do sleep 1; done`)
	m.expect("up\n")
	m.interrupt()
	m.expect("first\n")
	m.interrupt()
	m.end()
}

// TestInterruptedShell is the same at a terminal, before and after it has gone
// into raw mode.
func TestInterruptedShell(t *testing.T) {
	t.Parallel()
	interrupted := func(t *testing.T, wait func(*screen)) {
		t.Parallel()
		s := sit(t, "--shell")
		before := s.modes()
		s.start()
		wait(s)
		if err := unix.Kill(-s.cmd.Process.Pid, unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if got := s.end(); got != 130 && got != -1 {
			t.Errorf("status %d, want 130 or the signal", got)
		}
		s.mark.clean()
		if s.modes() != before {
			t.Error("the terminal is not as it was")
		}
	}
	for _, delay := range moments {
		t.Run(fmt.Sprintf("after %v", delay), func(t *testing.T) {
			interrupted(t, func(*screen) { time.Sleep(delay) })
		})
	}
	for _, text := range []string{"ctrl-a x", "# "} {
		t.Run("at "+text, func(t *testing.T) {
			interrupted(t, func(s *screen) { s.expect(text) })
		})
	}
}

// TestInterruptedOnABridge takes the machine's network device with it.
func TestInterruptedOnABridge(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	ns.bridge("br0", "10.77.0.1/24")
	for _, delay := range []time.Duration{30 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		m := startMarked(t, ns.via(), "--net", "bridge:br0", "--", "sleep", "100")
		time.Sleep(delay)
		m.interrupt()
		m.end()
		if links := ns.ip("link"); bytes.Contains([]byte(links), []byte("rambox")) {
			t.Errorf("after %v: a device has stayed:\n%s", delay, links)
		}
	}
}

// TestInterruptedFetch removes what has been downloaded so far. The progress
// shows on a terminal only.
func TestInterruptedFetch(t *testing.T) {
	t.Parallel()
	s := sitAt(t, "kernel", "fetch", "cloud")
	cache := t.TempDir()
	s.cmd.Env = append(s.cmd.Env, "RAMBOX_CACHE="+cache)
	s.start()
	s.expect("\r\x1b[Kresolve linux-image-cloud-amd64")
	if err := unix.Kill(-s.cmd.Process.Pid, unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := s.end(); got != 1 {
		t.Errorf("status %d, want 1", got)
	}
	s.mark.clean()
	if left := vmtest.Command(t, "find", cache, "-mindepth", "2"); left != "" {
		t.Errorf("the cache has:\n%s", left)
	}
}

// TestInterruptedBuild leaves neither a part of the image nor what it is made
// of beside it.
func TestInterruptedBuild(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	vmtest.WriteFile(t, dir, "big", 0o644, "")
	if err := os.Truncate(filepath.Join(dir, "big"), 2<<30); err != nil {
		t.Fatal(err)
	}
	s := sitAt(t, "build", "-o", filepath.Join(out, "image"), "--kernel", "none", "--compress", "none", "--add", dir+":/dir")
	s.start()
	s.expect(": 32 MiB")
	if err := unix.Kill(-s.cmd.Process.Pid, unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := s.end(); got != 1 {
		t.Errorf("status %d, want 1", got)
	}
	s.mark.clean()
	if left := vmtest.Command(t, "find", out, "-mindepth", "1"); left != "" {
		t.Errorf("there is:\n%s", left)
	}
}

// TestKilled: the kernel takes QEMU along when rambox is killed.
func TestKilled(t *testing.T) {
	t.Parallel()
	m := startMarked(t, nil, "--", "sh", "-c", "echo up; exec sleep 100")
	m.expect("up\n")
	if len(m.mark.processes()) != 2 {
		t.Errorf("there are not two processes: %v", m.mark.processes())
	}
	m.cmd.Process.Kill()
	m.cmd.Wait()
	m.mark.clean()
}
