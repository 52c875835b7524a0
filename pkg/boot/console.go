//go:build linux

package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"rambox/pkg/kmod"
)

// ActiveConsole names the terminal that a person sits at: the last entry of
// /sys/class/tty/console/active, which is the one that /dev/console stands
// for ("ttyS0"). /dev/console itself cannot be a controlling terminal. sys is
// os.DirFS("/sys").
func ActiveConsole(sys fs.FS) (string, error) {
	names, err := ActiveConsoles(sys)
	if err != nil {
		return "", err
	}
	return names[len(names)-1], nil
}

// ActiveConsoles names every terminal that the kernel writes its log to.
func ActiveConsoles(sys fs.FS) ([]string, error) {
	b, err := fs.ReadFile(sys, "class/tty/console/active")
	if err != nil {
		return nil, err
	}
	names := strings.Fields(string(b))
	if len(names) == 0 {
		return nil, errors.New("the kernel has no console; give it console=")
	}
	return names, nil
}

// openConsole opens the terminal for a shell or a payload; /dev/console or
// /dev/null where there is none. The caller closes fd.
func openConsole() (fd int, name string, err error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	active, err := ActiveConsole(kmod.DirFS("/sys"))
	if err != nil {
		active = "console"
	}
	for _, name := range [...]string{active, "console", "null"} {
		if fd, err = unix.Open("/dev/"+name, flags, 0); err == nil {
			return fd, name, nil
		}
	}
	return -1, "", fmt.Errorf("open /dev/%s: %w", active, err)
}

// onTerminal is how a process starts that owns the terminal fd: in a session
// of its own, with the terminal as its controlling one if it is a terminal.
func onTerminal(fd int) *syscall.ProcAttr {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	f := uintptr(fd)
	return &syscall.ProcAttr{
		Files: []uintptr{f, f, f},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: err == nil, Ctty: 0},
	}
}

// sane gives the terminal back the modes that a program may have taken from
// it: line editing, echo, signals, and carriage returns on output.
func sane(fd int) {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return
	}
	t.Iflag |= unix.ICRNL | unix.IXON | unix.BRKINT
	t.Oflag |= unix.OPOST | unix.ONLCR
	t.Lflag |= unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.ISIG | unix.IEXTEN
	unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// noEcho stops a console from giving back what is typed on it: its other end is
// a pipe.
func noEcho(fd int) {
	if t, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		t.Lflag &^= unix.ECHO
		unix.IoctlSetTermios(fd, unix.TCSETS, t)
	}
}

// termType is the TERM of a console: a virtual terminal of the kernel's, or
// whatever is at the other end of a line, which is safely a vt220.
func termType(console string) string {
	if n := strings.TrimPrefix(console, "tty"); n != console && n != "" && n[0] >= '0' && n[0] <= '9' {
		return "linux"
	}
	return "vt220"
}

// drainConsole waits until the terminal has sent what was written to it
// (tcdrain(3)).
func drainConsole(fd int) { unix.IoctlSetInt(fd, unix.TCSBRK, 1) }
