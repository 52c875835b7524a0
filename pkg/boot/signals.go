//go:build linux

package boot

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// sigRTMin is SIGRTMIN as the C libraries count it, past the two that they
// keep for themselves.
const sigRTMin = 34

// powerSignal knows the signals by which PID 1 is asked to end the machine.
// TERM, USR1 and USR2 are those of sysvinit's and busybox's tools, so that a
// busybox poweroff in the image works; INT is what the kernel sends for
// ctrl-alt-del; the real-time ones are systemd's.
func powerSignal(s os.Signal) (Action, bool) {
	switch s {
	case unix.SIGTERM, unix.SIGINT, unix.Signal(sigRTMin + 5):
		return Reboot, true
	case unix.SIGUSR2, unix.SIGPWR, unix.Signal(sigRTMin + 4):
		return PowerOff, true
	case unix.SIGUSR1, unix.Signal(sigRTMin + 3):
		return Halt, true
	}
	return "", false
}

// lethal and faults are the signals of which a Go program dies that has not
// asked for them (_SigKill, _SigThrow and _SigPanic in the runtime's
// sigtab_linux_generic.go, Go 1.26), and the end of PID 1 panics the kernel.
// The kernel keeps KILL and STOP from PID 1; the rest the runtime ignores.
//
// faults come from the processor, and become panics as ever. Those that a
// program sends are dropped: the runtime sees to that when told to ignore
// them, without a disposition that children would inherit.
var (
	lethal = [...]os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM}
	faults = [...]os.Signal{
		unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSTKFLT, unix.SIGSYS,
	}
)

// useful are the other signals that serve knows. Programs send them, so they
// can wait until there is one; the first may send one at once.
var useful = [...]os.Signal{
	unix.SIGCHLD, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPWR,
	unix.Signal(sigRTMin + 3), unix.Signal(sigRTMin + 4), unix.Signal(sigRTMin + 5),
}

// notify takes over signals. Each costs two switches between threads, so it
// is not done for those that nothing depends on.
func (m *pid1) notify(signals []os.Signal) { signal.Notify(m.signals, signals...) }

// start starts a child, and from the first one on heeds what children send.
func (m *pid1) start(path string, argv []string, attr *syscall.ProcAttr) (pid int, done <-chan unix.WaitStatus, err error) {
	m.heed.Do(func() { m.notify(useful[:]) })
	return m.children.start(path, argv, attr)
}
