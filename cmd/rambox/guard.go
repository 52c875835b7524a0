//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// guardName is argv[0] of the guard.
const guardName = "rambox-guard"

// guard is a process that gives the terminal back if this one cannot: a crash
// in any goroutine, or a SIGKILL, runs no deferred call. It reads from a pipe
// the modes from before and those of the session, and waits for its end.
type guard struct {
	pipe *os.File
	cmd  *exec.Cmd
}

// startGuard tells a new guard the modes that the terminal has.
func startGuard(fd int) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the terminal's guard: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{guardName}
	cmd.Stdin, cmd.ExtraFiles = os.Stdin, []*os.File{r}
	// Out of reach of the terminal's keys.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("start the terminal's guard: %w", err)
	}
	g := &guard{pipe: w, cmd: cmd}
	g.expect(fd)
	return g, nil
}

// expect tells the guard the modes that the terminal has now.
func (g *guard) expect(fd int) {
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		_ = binary.Write(g.pipe, binary.NativeEndian, modes) // without a guard all works as well
	}
}

// release ends the guard: the terminal is as it was.
func (g *guard) release() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.pipe.Close()
}

// guardTerminal is the guard's own program.
func guardTerminal() int {
	signal.Ignore(syscall.SIGTTOU, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	pipe := os.NewFile(3, "pipe")
	var before, during unix.Termios
	for _, modes := range []*unix.Termios{&before, &during} {
		if err := binary.Read(pipe, binary.NativeEndian, modes); err != nil {
			return 0 // the modes were never changed
		}
	}
	_, _ = io.Copy(io.Discard, pipe)
	fd := int(os.Stdin.Fd())
	now, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil || *now != during {
		return 0 // gone, or already another program's, such as the shell's
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &before); err != nil {
		return 1
	}
	return 0
}
