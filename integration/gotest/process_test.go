//go:build linux

package gotest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// guest is a run that is under way.
type guest struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Reader
}

func startRun(t *testing.T, args ...string) *guest {
	t.Helper()
	cmd := exec.Command(vmtest.Rambox(t), append([]string{"run"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &guest{t, cmd, bufio.NewReader(stdout)}
}

// kill ends rambox as nothing can prepare for.
func (g *guest) kill() {
	g.t.Helper()
	if err := g.cmd.Process.Kill(); err != nil {
		g.t.Fatal(err)
	}
	g.cmd.Wait()
}

// process is one that is watched by a descriptor, which no other gets.
type process struct {
	t  *testing.T
	fd int
}

// children are the processes that rambox has started and that run a program.
func (g *guest) children(program string) []process {
	g.t.Helper()
	var list []process
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		g.t.Fatal(err)
	}
	for _, dir := range dirs {
		stat, err1 := os.ReadFile(dir + "/stat")
		exe, err2 := os.Readlink(dir + "/exe")
		if err1 != nil || err2 != nil || filepath.Base(exe) != program {
			continue // it has gone, or is another
		}
		var pid, parent int
		var state string
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		fmt.Sscan(string(rest), &state, &parent)
		fmt.Sscan(strings.TrimPrefix(dir, "/proc/"), &pid)
		if parent != g.cmd.Process.Pid {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { unix.Close(fd) })
		list = append(list, process{g.t, fd})
	}
	return list
}

// awaitEnd fails the test if the process does not end.
func (p process) awaitEnd() {
	p.t.Helper()
	deadline := 30 * time.Second
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(deadline.Milliseconds()))
	if n != 1 {
		p.t.Errorf("the process lives on after %v: %v", deadline, err)
	}
}
