//go:build linux

package boot

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/u-root/u-root/pkg/mount"
	"golang.org/x/sys/unix"
)

// mountEarly mounts the table of early file systems and makes the links that
// programs expect. One that is mounted already, or that the kernel lacks, is
// no problem.
func mountEarly() []error {
	unix.Umask(0o022)
	var problems []error
	for _, m := range earlyMounts {
		err := mountOne(m)
		if errors.Is(err, unix.ENODEV) {
			continue // not in this kernel
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	// Without devtmpfs the image's own /dev has to do; these few nodes are
	// what init itself needs.
	for _, n := range [...]struct {
		path         string
		major, minor uint32
	}{{"/dev/null", 1, 3}, {"/dev/console", 5, 1}, {"/dev/tty", 5, 0}, {"/dev/kmsg", 1, 11}, {"/dev/zero", 1, 5}, {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}} {
		err := unix.Mknod(n.path, unix.S_IFCHR|0o666, int(unix.Mkdev(n.major, n.minor)))
		if err == unix.EEXIST {
			break // devtmpfs has them all
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("mknod %s: %w", n.path, err))
		}
	}
	for _, l := range [...][2]string{
		{"/proc/self/fd", "/dev/fd"}, {"fd/0", "/dev/stdin"}, {"fd/1", "/dev/stdout"}, {"fd/2", "/dev/stderr"},
		{"/proc/mounts", "/etc/mtab"},
	} {
		unix.Symlink(l[0], l[1]) // an image's own stays
	}
	return problems
}

// mountOne mounts m, unless something is mounted on its target already that it
// would only repeat, and makes the directory if it is missing.
func mountOne(m Mount) error {
	var dir, parent unix.Stat_t
	err := unix.Stat(m.Target, &dir)
	if err == unix.ENOENT {
		if err := makeDir(m.Target); err != nil {
			return err
		}
	} else if err == nil && m.Flags&msBind == 0 && !m.share() {
		if err := unix.Stat(m.Target+"/..", &parent); err == nil && dir.Dev != parent.Dev {
			return nil
		}
	}
	_, err = mount.Mount(m.Source, m.Target, m.Type, m.Data, m.Flags)
	if errors.Is(err, unix.EBUSY) {
		return nil // mounted already
	}
	if err == nil && m.Flags&msBind != 0 && m.Flags&^(msBind|msRec) != 0 {
		// A bind mount takes no other flags at first (mount(2)).
		err = unix.Mount("", m.Target, "", unix.MS_REMOUNT|m.Flags&^msRec, "")
		if err != nil {
			err = fmt.Errorf("remount %s with its options: %w", m.Target, err)
		}
	}
	return err
}

// makeDir makes a directory, unless it is there, and its parents as needed.
func makeDir(name string) error {
	err := unix.Mkdir(name, 0o755)
	switch err {
	case nil, unix.EEXIST:
		return nil
	case unix.ENOENT:
		return os.MkdirAll(name, 0o755)
	}
	return fmt.Errorf("make directory %s: %w", name, err)
}

// shareWait is how long a share of the host may take to appear.
const shareWait = 10 * time.Second

// mountLate mounts what waits for modules.
func (m *pid1) mountLate() error {
	if m.shared >= len(m.plan.Late) { // the image may have been changed by hand since
		return nil
	}
	m.times.next("shares", nil)
	for _, mnt := range m.plan.Late[m.shared:] {
		err := m.mountShare(mnt)
		if err == nil {
			m.shared++
			continue
		}
		err = fmt.Errorf("fstab: %s: %w", mnt.Target, err)
		if _, power := m.powerRequested(); power || !mnt.NoFail {
			return err
		}
		m.shared++
		m.log.Warnf("%v", err)
	}
	m.times.next("", nil)
	return nil
}

// mountShare mounts one, when the host shows it.
func (m *pid1) mountShare(mnt Mount) error {
	if !mnt.share() {
		return mountOne(mnt)
	}
	m.loadFor("fs-" + mnt.Type)
	return m.awaitShare("the share "+mnt.Source, shareWait, mnt.Type, func() error { return mountOne(mnt) })
}
