package netboot

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keptCapability opens TFTP's port at addresses that the machine gets later.
const keptCapability = unix.CAP_NET_BIND_SERVICE

// BecomeUser makes root an ordinary user, for good, with all its threads. Of its
// capabilities it keeps CAP_NET_BIND_SERVICE, or none in a program that was
// linked with C, which cannot say which to keep ([syscall.AllThreadsSyscall]).
func BecomeUser(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("user %s: setgroups: %w", name, err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("user %s: setgid: %w", name, err)
	}
	// With the last user ID of root all capabilities go (capabilities(7)), unless
	// the thread says before that it wants them.
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0)
	if errno != 0 && errno != unix.ENOTSUP {
		return fmt.Errorf("user %s: keep capabilities: %w", name, errno)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("user %s: setuid: %w", name, err)
	}
	if errno == unix.ENOTSUP {
		return nil
	}
	return LimitCapabilities()
}

// LimitCapabilities gives up what somebody who is not root has been given, but
// CAP_NET_BIND_SERVICE. In a program that was linked with C it cannot: ENOTSUP.
func LimitCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have, keep [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	keep[0].Permitted = have[0].Permitted & (1 << keptCapability)
	keep[0].Effective = keep[0].Permitted
	// An ambient capability is also a permitted one, and goes with it.
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&keep)), 0)
	if errno != 0 {
		return fmt.Errorf("give up capabilities: %w", errno)
	}
	return nil
}
