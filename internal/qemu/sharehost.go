//go:build linux

package qemu

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanShare says which kinds of shares this host has for m: QEMU's device, and for virtiofs also a virtiofsd. The error of a kind
// says what is missing.
func (m Machine) CanShare() (map[string]error, error) {
	m = m.withDefaults()
	path, err := lookProgram(m.program())
	if err != nil {
		return nil, err
	}
	help, err := exec.Command(path, "-device", "help").Output()
	if err != nil {
		return nil, fmt.Errorf("%s -device help: %w", path, err)
	}
	can := map[string]error{}
	for _, kind := range [...]string{Share9P, ShareVirtiofs} {
		if device := m.shareDevice(kind); !strings.Contains(string(help), `"`+device+`"`) {
			can[kind] = fmt.Errorf("this QEMU has no %s", device)
			continue
		}
		can[kind] = nil
	}
	if can[ShareVirtiofs] == nil {
		v, err := findVirtiofsd()
		if err == nil {
			err = mayServe(v)
		}
		can[ShareVirtiofs] = err
	}
	return can, nil
}

// ShareName is the name by which Start calls this very program when a share's virtiofsd needs preparations that have to be made in its own
// process: the program has to hand its arguments to ExecShare.
const ShareName = "rambox-share"

// Preparations.
const (
	stepReadOnly   = "read-only"   // no file system can be written to; in a mount namespace of our own
	stepKeepGroups = "keep-groups" // setgroups(2) succeeds and does nothing
)

// ExecShare makes the preparations that the first argument names, and executes the others.
func ExecShare(args []string) error {
	if len(args) < 2 {
		return errors.New("want preparations and a program")
	}
	runtime.LockOSThread() // the filter is that of the thread
	for step := range strings.SplitSeq(args[0], ",") {
		var err error
		switch step {
		case stepReadOnly:
			err = makeReadOnly()
		case stepKeepGroups:
			err = keepGroups()
		default:
			err = errors.New("no such preparation")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	return fmt.Errorf("execute %s: %w", args[1], unix.Exec(args[1], args[1:], os.Environ()))
}

// makeReadOnly keeps the server from writing anywhere: neither virtiofsd that Debian has had can share read-only, and the guest's
// own ro is for the guest to take back.
func makeReadOnly() error {
	err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if errors.Is(err, unix.ENOSYS) {
		err = fmt.Errorf("%w before Linux 5.12 on the host", err)
	}
	return err
}

// keepGroups: virtiofsd insists on dropping the supplementary groups, which no user namespace of an ordinary user allows
// (user_namespaces(7)). They are the user's own, so the server may as well have them.
func keepGroups() error {
	const (
		nrOffset = 0                      // of seccomp_data.nr
		succeed  = unix.SECCOMP_RET_ERRNO // and the number 0
	)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nrOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_SETGROUPS},
		{Code: unix.BPF_RET | unix.BPF_K, K: succeed},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
