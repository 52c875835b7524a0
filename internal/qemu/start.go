//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options are what Start needs beyond the machine.
type Options struct {
	Initrd  *os.File   // initramfs in an open file, such as one from MemFile; replaces Machine.Initrd. Start does not close it.
	GDB     *GDBServer // lets a debugger in; nil is none. Start does not close it.
	Console io.Writer  // gets the console's bytes as they come; nil is nobody. One that blocks stops the guest's console.
}

// MemFile returns an empty file that exists only in memory and only as long as someone has it open (memfd_create(2)).
func MemFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create memory file %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Start runs m. QEMU gets a process group of its own, so that the terminal's ctrl-c does not reach it, and dies
// with this process or with ctx. There are no temporary files and no listening sockets.
// The error of a QEMU that cannot run its machine comes from Wait: here only what prevents the start of a process fails.
func Start(ctx context.Context, m Machine, opts Options) (*VM, error) {
	if _, err := m.Args(); err != nil {
		return nil, err // before anything is opened
	}
	tap, err := m.openTap()
	if err != nil {
		return nil, err
	}
	fds := descriptors{tap: -1}
	var more []*os.File
	give := func(f *os.File) (fd int) {
		more = append(more, f)
		return firstPortFD + len(m.Ports) + len(more) - 1
	}
	if tap != nil {
		defer tap.Close()
		fds.tap = give(tap)
	}
	if opts.Initrd != nil {
		m.Initrd = fmt.Sprintf("/proc/self/fd/%d", give(opts.Initrd))
	}
	if opts.GDB != nil {
		m.GDB = gdbFD(give(opts.GDB.file))
	}
	path, err := lookProgram(m.withDefaults().program())
	if err != nil {
		return nil, err
	}
	conns, files, err := socketPairs(1 + len(m.Ports))
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	servers, err := m.startServers(ctx)
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	defer closeAll(servers.conns)
	for _, c := range servers.conns {
		fds.shares = append(fds.shares, give(c))
	}
	argv, err := m.fdArgs(fds)
	var proc process
	if err == nil {
		cmd := exec.CommandContext(ctx, path, argv[1:]...)
		cmd.ExtraFiles = slices.Concat(files, more)
		proc, err = startProcess(cmd)
	}
	if err != nil {
		servers.stop()
		closeAll(conns)
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	ports := make(map[string]*net.UnixConn, len(m.Ports))
	for i, name := range m.Ports {
		ports[name] = conns[1+i]
	}
	return newVM(servers.join(proc), conns[0], ports, opts.Console), nil
}

// lookProgram finds QEMU. It never runs one from the current directory (exec.ErrDot).
func lookProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find QEMU: %w; install it (Debian: apt-get install %s)", err, debianPackage(name))
	}
	return path, nil
}

// debianPackage is the package of Debian that has one of QEMU's programs.
func debianPackage(name string) string {
	switch strings.TrimPrefix(name, "qemu-system-") {
	case "x86_64", "i386":
		return "qemu-system-x86"
	case "aarch64", "arm":
		return "qemu-system-arm"
	}
	return "qemu-system-misc"
}

// process is a running program, QEMU unless something else is said.
type process struct {
	kill func()
	wait func() Exit // may be called once; returns when the process has been reaped
}

// Exit says how QEMU itself ended. A guest that powers off, resets or panics (with panic=-1) ends QEMU with code 0.
type Exit struct {
	Code   int            // exit status; -1 when a signal ended it
	Signal syscall.Signal // 0 when it exited
	Stderr string         // the last of what it wrote to standard error
}

// Err describes an end that is QEMU's own failure; nil for exit status 0.
func (e Exit) Err() error {
	what := fmt.Sprintf("QEMU ended with status %d", e.Code)
	switch {
	case e.Signal != 0:
		what = fmt.Sprintf("QEMU was killed by signal %d (%v)", int(e.Signal), e.Signal)
	case e.Code == 0:
		return nil
	}
	if advice := advise(e.Stderr); advice != "" {
		return errors.New(advice)
	}
	if text := strings.TrimSpace(e.Stderr); text != "" {
		return fmt.Errorf("%s: %s", what, strings.ReplaceAll(text, "\n", "; "))
	}
	return errors.New(what)
}

// startProcess starts cmd so that it dies with us. The kernel sends the parent-death signal when the *thread* that
// forked ends (prctl(2)), so that thread is kept until the process has been waited for.
func startProcess(cmd *exec.Cmd) (process, error) {
	stderr := newTail(4 << 10)
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGKILL, true
	started, ended := make(chan error), make(chan Exit, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // ProcessState says the same
		exit := Exit{Code: cmd.ProcessState.ExitCode(), Stderr: stderr.String()}
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			exit.Signal = ws.Signal()
		}
		ended <- exit
	}()
	if err := <-started; err != nil {
		return process{}, err
	}
	kill := func() { _ = cmd.Process.Kill() } // fails only when it has ended
	return process{kill: kill, wait: func() Exit { return <-ended }}, nil
}

// socketPairs makes n connected pairs: our ends, and the ends for QEMU.
func socketPairs(n int) (ours []*net.UnixConn, theirs []*os.File, err error) {
	for range n {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return nil, nil, fmt.Errorf("create socket pair: %w", err)
		}
		theirs = append(theirs, os.NewFile(uintptr(fds[1]), "qemu"))
		own := os.NewFile(uintptr(fds[0]), "rambox")
		conn, err := net.FileConn(own)
		own.Close()
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return nil, nil, fmt.Errorf("use socket pair: %w", err)
		}
		ours = append(ours, conn.(*net.UnixConn))
	}
	return ours, theirs, nil
}

func closeAll[C io.Closer](list []C) {
	for _, c := range list {
		c.Close()
	}
}

// qemuPath is the file that would run m.
func (m Machine) qemuPath() (string, error) {
	path, err := lookProgram(m.withDefaults().program())
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
