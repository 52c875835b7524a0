//go:build linux

package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/mount"
	"golang.org/x/sys/unix"
)

// newRoot is where the root is mounted before it becomes "/".
const newRoot = "/newroot"

// mountRoot waits for the root device and mounts it on newRoot.
func (m *pid1) mountRoot() error {
	r := m.plan.Root
	if r.Delay > 0 {
		select {
		case <-time.After(r.Delay):
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
	}
	err := m.await("root device "+r.Device, r.Wait, func() bool {
		var st unix.Stat_t
		return unix.Stat(r.Device, &st) == nil
	})
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(r.Device, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("root device %s is not a block device", r.Device)
	}
	if err := makeDir(newRoot); err != nil {
		return err
	}
	types := r.Types
	if types == nil {
		if types, err = rootTypes(); err != nil {
			return err
		}
	}
	var failures []error
	for _, t := range types {
		err := m.tryRoot(r, t)
		if err == nil {
			return nil
		}
		failures = append(failures, err)
		// EINVAL is what a file system says of a device that is not its own;
		// anything else is its real answer (mount_root_generic,
		// init/do_mounts.c, v6.12).
		if r.Types == nil && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	if r.Types == nil {
		return fmt.Errorf("no file system of this kernel is on %s; tried %s; name it with rootfstype=", r.Device, strings.Join(types, ", "))
	}
	return errors.Join(failures...)
}

func (m *pid1) tryRoot(r Root, fsType string) error {
	_, err := mount.Mount(r.Device, newRoot, fsType, r.Data, r.Flags)
	readOnly := errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS)
	if readOnly && r.Flags&unix.MS_RDONLY == 0 {
		m.log.Warnf("root %s cannot be written to; mounting it read-only", r.Device)
		_, err = mount.Mount(r.Device, newRoot, fsType, r.Data, r.Flags|unix.MS_RDONLY)
	}
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w (the kernel has no %s, nor has the image its module)", err, fsType)
	}
	return err
}

// rootTypes lists the kernel's file systems that live on a block device; ext4
// goes before ext3 and ext2, whose names its driver answers to as well.
func rootTypes() ([]string, error) {
	text, err := readFile("/proc/filesystems")
	if err != nil {
		return nil, err
	}
	var types []string
	for line := range strings.Lines(string(text)) {
		if nodev, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); !ok {
			types = append(types, nodev)
		} else if nodev == "" {
			types = append(types, name)
		}
	}
	if i := slices.Index(types, "ext4"); i > 0 {
		types = append([]string{"ext4"}, slices.Delete(types, i, i+1)...)
	}
	return types, nil
}
