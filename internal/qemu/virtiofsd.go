//go:build linux

package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// virtiofsdPaths are where distributions put virtiofsd besides PATH.
var virtiofsdPaths = [...]string{"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"}

// virtiofsd is a file server for virtiofs: the one that came with QEMU until 7.2, or its successor, written in Rust.
type virtiofsd struct {
	path      string
	successor bool
}

// findVirtiofsd asks the one that is there what it is.
func findVirtiofsd() (virtiofsd, error) {
	path, err := exec.LookPath("virtiofsd")
	for _, p := range virtiofsdPaths {
		if err != nil {
			path, err = exec.LookPath(p)
		}
	}
	if err != nil {
		return virtiofsd{}, errors.New("this machine has no virtiofsd (Debian: apt-get install virtiofsd, or qemu-system-common up to 12)")
	}
	// QEMU's begins with dropping its groups, whatever it is asked, and so ends at once where it may not.
	help, err := exec.Command(path, "--help").CombinedOutput()
	if errors.As(err, new(*exec.ExitError)) {
		err = nil
	}
	return virtiofsd{path: path, successor: strings.Contains(string(help), "--shared-dir")}, err
}

// argv serves a directory to whoever connects to descriptor 3.
func (v virtiofsd) argv(dir string) []string {
	if v.successor {
		return []string{v.path, "--fd=3", "--shared-dir=" + dir, "--sandbox=chroot", "--cache=auto", "--log-level=error"}
	}
	// A backslash takes a comma's meaning away (process_option_group of fuse_opt.c).
	source := strings.NewReplacer(`\`, `\\`, ",", `\,`).Replace(dir)
	return []string{v.path, "--fd=3", "-o", "source=" + source, "-o", "sandbox=chroot", "-o", "cache=auto", "-o", "log_level=err"}
}

// command is the server of a share. It has to be root, without the right to it in a user namespace, where root is us.
func (v virtiofsd) command(ctx context.Context, s Share, listener *os.File) (*exec.Cmd, error) {
	argv := v.argv(s.Dir)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.ExtraFiles, cmd.SysProcAttr = []*os.File{listener}, &syscall.SysProcAttr{}
	var steps []string
	if !privileged() {
		inUserNamespace(cmd.SysProcAttr)
		steps = append(steps, stepKeepGroups)
	}
	if s.ReadOnly {
		cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
		steps = append(steps, stepReadOnly)
	}
	if len(steps) == 0 {
		return cmd, nil
	}
	self, err := os.Executable()
	cmd.Path, cmd.Args = self, slices.Concat([]string{ShareName, strings.Join(steps, ",")}, argv)
	return cmd, err
}

func inUserNamespace(attr *syscall.SysProcAttr) {
	attr.Cloneflags = unix.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
}

// mayServe reports what keeps a virtiofsd from being root.
func mayServe(v virtiofsd) error {
	if privileged() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{ShareName, stepKeepGroups, v.path, "--version"}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	inUserNamespace(cmd.SysProcAttr)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("virtiofsd takes root, or a user namespace: %w %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// shareServers are the virtiofsds of a machine.
type shareServers struct {
	conns []*os.File // what QEMU gets, in the order of the virtiofs shares
	procs []process
}

// startServers starts a virtiofsd for each share that needs one. They are connected already, so there is nothing to wait for.
func (m Machine) startServers(ctx context.Context) (*shareServers, error) {
	servers := new(shareServers)
	list := m.virtiofs()
	if len(list) == 0 {
		return servers, nil
	}
	v, err := findVirtiofsd()
	if err != nil {
		return nil, fmt.Errorf("share %s: %w", list[0].Dir, err)
	}
	for _, s := range list {
		if err := servers.start(ctx, v, s); err != nil {
			servers.stop()
			return nil, fmt.Errorf("share %s: %w", s.Dir, err)
		}
	}
	return servers, nil
}

func (ss *shareServers) start(ctx context.Context, v virtiofsd, s Share) error {
	listener, conn, err := pendingConnection()
	if err != nil {
		return err
	}
	ss.conns = append(ss.conns, conn)
	defer listener.Close()
	cmd, err := v.command(ctx, s, listener)
	if err != nil {
		return err
	}
	proc, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", v.path, err)
	}
	ss.procs = append(ss.procs, proc)
	return nil
}

// pendingConnection returns a listening socket and a connection that waits there to be accepted. The address is one that the kernel
// chooses (unix(7), autobind), and nobody else's connection fits in the queue.
func pendingConnection() (listener, conn *os.File, err error) {
	var fds [2]int
	for i := range fds {
		if fds[i], err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return nil, nil, fmt.Errorf("create socket: %w", err)
		}
	}
	listener, conn = os.NewFile(uintptr(fds[0]), "listener"), os.NewFile(uintptr(fds[1]), "connection")
	fail := func(err error) (*os.File, *os.File, error) {
		listener.Close()
		conn.Close()
		return nil, nil, fmt.Errorf("connect socket: %w", err)
	}
	if err := unix.Bind(fds[0], &unix.SockaddrUnix{}); err != nil {
		return fail(err)
	}
	if err := unix.Listen(fds[0], 0); err != nil {
		return fail(err)
	}
	address, err := unix.Getsockname(fds[0])
	if err != nil {
		return fail(err)
	}
	if err := unix.SetNonblock(fds[1], true); err != nil { // a queue that is full is an error, not a wait
		return fail(err)
	}
	if err := unix.Connect(fds[1], address); err != nil {
		return fail(err)
	}
	return listener, conn, unix.SetNonblock(fds[1], false)
}

// privileged reports whether we have CAP_SYS_ADMIN.
func privileged() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	err := unix.Capget(&header, &sets[0])
	return err == nil && sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// stop ends the servers.
func (ss *shareServers) stop() {
	for _, p := range ss.procs {
		p.kill()
	}
	closeAll(ss.conns)
}

// join makes one process of QEMU and its servers: a server ends when QEMU does; QEMU has to end when a server has. If one
// has failed, what it wrote is with what QEMU wrote.
func (ss *shareServers) join(qemu process) process {
	if len(ss.procs) == 0 {
		return qemu
	}
	ended := make(chan struct{})
	failures := make([]string, len(ss.procs))
	var waits sync.WaitGroup
	for i, p := range ss.procs {
		waits.Go(func() {
			exit := p.wait()
			if exit.Code > 0 {
				failures[i] = fmt.Sprintf("virtiofsd ended with status %d: %s", exit.Code, strings.TrimSpace(exit.Stderr))
			}
			select {
			case <-ended:
			case <-time.After(lastWords): // the guest waits for its files for ever
				qemu.kill()
			}
		})
	}
	wait := func() Exit {
		exit := qemu.wait()
		close(ended)
		ss.stop()
		waits.Wait()
		for _, f := range failures {
			if f != "" {
				exit.Stderr = strings.TrimSpace(exit.Stderr + "\n" + f)
			}
		}
		return exit
	}
	return process{kill: qemu.kill, wait: wait}
}
