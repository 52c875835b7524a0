package netboot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Follow calls f each time that a file has been written or replaced, until ctx
// ends. It looks at the directory: editors write another file and rename it.
func Follow(ctx context.Context, file string, f func()) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("follow %s: %w", file, os.NewSyscallError("inotify_init1", err))
	}
	in := os.NewFile(uintptr(fd), "inotify")
	defer in.Close()
	defer context.AfterFunc(ctx, func() { in.Close() })()
	dir, base := filepath.Split(file)
	if _, err := unix.InotifyAddWatch(fd, filepath.Join(dir, "."), unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		return fmt.Errorf("follow %s: %w", file, os.NewSyscallError("inotify_add_watch", err))
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := in.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("follow %s: %w", file, err)
		}
		if namesFile(buf[:n], base) {
			f()
		}
	}
}

// namesFile tells whether one of some events is of a file, or some were lost.
func namesFile(events []byte, base string) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if end > len(events) {
			return false
		}
		name := bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00")
		if mask&unix.IN_Q_OVERFLOW != 0 || string(name) == base {
			return true
		}
		events = events[end:]
	}
	return false
}

// FollowAddresses calls f each time that an interface of this machine gets or
// loses an IPv4 address, until ctx ends.
func FollowAddresses(ctx context.Context, f func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("follow addresses: %w", os.NewSyscallError("socket", err))
	}
	in := os.NewFile(uintptr(fd), "netlink")
	defer in.Close()
	defer context.AfterFunc(ctx, func() { in.Close() })()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR}); err != nil {
		return fmt.Errorf("follow addresses: %w", os.NewSyscallError("bind", err))
	}
	buf := make([]byte, 16<<10)
	for {
		_, err := in.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		// What was too much for the socket is news, too.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("follow addresses: %w", err)
		}
		f()
	}
}
