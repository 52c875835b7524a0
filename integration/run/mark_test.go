//go:build linux

package run

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mark is an environment by which a process and all that it starts are known,
// with a directory for their temporary files.
type mark struct {
	t   *testing.T
	tmp string
}

func newMark(t *testing.T) mark { return mark{t, t.TempDir()} }

// environ has a directory that no other test has.
func (m mark) environ() []string { return append(os.Environ(), "TMPDIR="+m.tmp) }

// processes are those of the mark that have not ended. A zombie has no
// environment.
func (m mark) processes() map[int]string {
	m.t.Helper()
	found := map[int]string{}
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, file := range files {
		env, _ := os.ReadFile(file) // it may be gone
		if !bytes.Contains(append(env, 0), []byte("TMPDIR="+m.tmp+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			m.t.Fatal(err)
		}
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		found[pid] = strings.ReplaceAll(string(words), "\x00", " ")
	}
	return found
}

// clean fails the test if a process or a file of the mark outlives rambox.
// What the kernel kills with its parent may need a moment to die.
func (m mark) clean() {
	m.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		left := m.processes()
		if len(left) == 0 {
			break
		}
		for pid, command := range left {
			if !waitGone(pid, time.Until(deadline)) {
				m.t.Errorf("process %d still runs: %s", pid, command)
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
	entries, err := os.ReadDir(m.tmp)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		m.t.Errorf("%s is left in TMPDIR", e.Name())
	}
}

// waitGone waits for the end of any process.
func waitGone(pid int, limit time.Duration) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(fd)
	for end := time.Now().Add(limit); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(end).Milliseconds())))
		if err != unix.EINTR {
			return n > 0
		}
	}
}
