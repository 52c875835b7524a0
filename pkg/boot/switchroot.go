//go:build linux

package boot

import (
	"errors"
	"fmt"
	"os"

	"github.com/u-root/u-root/pkg/mount"
	"golang.org/x/sys/unix"
)

// moved are the file systems that the next init finds as we leave them. What
// is mounted on them (/dev/pts, /dev/shm) moves along.
var moved = [...]string{"/dev", "/proc", "/sys", "/run"}

// switchRoot mounts the root, makes it "/", gives the initramfs's memory back
// and execs the root's init. Nothing is deleted before everything that can be
// checked has been checked, so a failure finds the initramfs as it was.
func (m *pid1) switchRoot() error {
	m.times.next(stageRoot, nil)
	unmount, err := m.mountRoot()
	if err != nil {
		return err
	}
	next, dev, err := m.prepareSwitch()
	if err != nil {
		unmount() // for the next attempt
		return err
	}
	m.times.next("", nil)
	m.leaveReport()
	m.announce("running", next)()
	m.stopNetwork()
	defer m.settle()()
	m.log.Infof("switching to %s, exec %s", m.plan.Root, next)
	old, err := m.moveRoot()
	if err != nil {
		return err
	}
	if err := deleteTree(old, dev); err != nil {
		m.log.Warnf("free the initramfs: %v", err)
	}
	unix.Close(old)
	return m.exec(next)
}

// prepareSwitch does all that can fail before the point of no return.
func (m *pid1) prepareSwitch() (next string, dev uint64, err error) {
	if err := m.passed(stageRoot); err != nil {
		return "", 0, err
	}
	if next, err = m.nextInit(); err != nil {
		return "", 0, err
	}
	if dev, err = deletable(); err != nil {
		return "", 0, err
	}
	m.times.next(stageHandoff, nil)
	return next, dev, m.passed(stageHandoff)
}

// nextInit finds the init on the new root that can be executed.
func (m *pid1) nextInit() (string, error) {
	root, err := unix.Open(newRoot, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", newRoot, err)
	}
	defer unix.Close(root)
	var failures []error
	for _, path := range m.plan.Init {
		err := executable(root, path)
		if err == nil {
			return path, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("no init on %s: %w", m.plan.Root, errors.Join(failures...))
}

// deletable checks, before the point of no return, that "/" is an initramfs
// and this process the one to end it, and returns its device: a wrong answer
// would delete somebody's system.
func deletable() (dev uint64, err error) {
	if os.Getpid() != 1 {
		return 0, errors.New("switch root: not PID 1")
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/", &fs); err != nil {
		return 0, fmt.Errorf("switch root: statfs /: %w", err)
	}
	if magic := uint32(fs.Type); magic != unix.RAMFS_MAGIC && magic != unix.TMPFS_MAGIC {
		return 0, fmt.Errorf("switch root: / is not an initramfs (file system type %#x)", fs.Type)
	}
	var st unix.Stat_t
	if err := unix.Lstat("/init", &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, errors.New("switch root: / has no regular file /init, so it may not be an initramfs")
	}
	if err := unix.Lstat("/", &st); err != nil {
		return 0, fmt.Errorf("switch root: stat /: %w", err)
	}
	return uint64(st.Dev), nil
}

// moveRoot makes newRoot the root and returns the old one, open. On an error
// the initramfs is the root still, with its file systems.
func (m *pid1) moveRoot() (old int, err error) {
	old, err = unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(old)
			for _, dir := range moved {
				mount.MoveMount(newRoot+dir, dir)
			}
			unix.Unmount(newRoot, unix.MNT_DETACH)
			mountEarly()
		}
	}()
	// By it systemd knows that there was an initramfs (bootup(7)).
	unix.Mkdir("/run/initramfs", 0o755)
	unix.Unmount("/tmp", unix.MNT_DETACH)
	for _, dir := range moved {
		if err := mount.MoveMount(dir, newRoot+dir); err != nil {
			// No such directory on the root, or nothing was mounted here.
			m.log.Debugf("move %s: %v", dir, err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	}
	if err := unix.Chdir(newRoot); err != nil {
		return -1, fmt.Errorf("chdir %s: %w", newRoot, err)
	}
	if err := mount.MoveMount(".", "/"); err != nil {
		return -1, fmt.Errorf("move %s to /: %w", newRoot, err)
	}
	// Neither can fail in a directory that has just become the root.
	if err := errors.Join(unix.Chroot("."), unix.Chdir("/")); err != nil {
		return -1, fmt.Errorf("enter the new root: %w", err)
	}
	return old, nil
}

// deleteTree removes what is below the directory dir, on the device dev only:
// never across a mount point, which can be neither unlinked nor removed
// (EBUSY).
func deleteTree(dir int, dev uint64) error {
	names, err := readNames(dir)
	errs := []error{err}
	for _, name := range names {
		err := unix.Unlinkat(dir, name, 0)
		if err == unix.EISDIR {
			err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
		}
		if err == unix.ENOTEMPTY {
			errs = append(errs, deleteBelow(dir, name, dev))
			err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
		}
		if err != nil && err != unix.EBUSY {
			errs = append(errs, fmt.Errorf("remove %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func deleteBelow(parent int, name string, dev uint64) error {
	dir, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil || uint64(st.Dev) != dev {
		return err
	}
	return deleteTree(dir, dev)
}
