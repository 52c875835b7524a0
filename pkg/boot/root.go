//go:build linux

package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/mount"
	"golang.org/x/sys/unix"
)

// newRoot is where the root is mounted before it becomes "/". What lies under
// it is in rootDir, which moves along in /run.
const (
	runDir  = "/run/rambox"
	newRoot = "/newroot"
	rootDir = runDir + "/root"
)

// mountRoot brings the root to newRoot. unmount takes it away again; after an
// error nothing is mounted.
func (m *pid1) mountRoot() (unmount func(), err error) {
	var mounted []string
	unmount = func() {
		for _, dir := range slices.Backward(mounted) {
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	}
	if err := m.mountLayers(&mounted); err != nil {
		unmount()
		return nil, err
	}
	return unmount, nil
}

// mountLayers mounts what root= names, an image on that, an overlay over that,
// and notes where.
func (m *pid1) mountLayers(mounted *[]string) error {
	r := m.plan.Root
	if r.Delay > 0 {
		select {
		case <-time.After(r.Delay):
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
	}
	at := func(dir string) error {
		*mounted = append(*mounted, dir)
		return os.MkdirAll(dir, 0o755)
	}
	target := newRoot
	if r.Overlay != "" {
		target = rootDir + "/lower"
	}
	source := target
	if r.File != "" {
		source = rootDir + "/medium"
	}
	if err := at(source); err != nil {
		return err
	}
	if err := m.mountSource(r, source); err != nil {
		return err
	}
	if r.File != "" {
		if err := at(target); err != nil {
			return err
		}
		// The image's own file system is what is found in it.
		if err := m.mountImage(Root{Flags: r.Flags}, source+r.File, target); err != nil {
			return err
		}
	}
	if r.Overlay == "" {
		return nil
	}
	writable := rootDir + "/overlay"
	if err := at(writable); err != nil {
		return err
	}
	if err := at(newRoot); err != nil {
		return err
	}
	return mountOverlay(target, writable, r.Overlay)
}

// mountSource mounts what root= names.
func (m *pid1) mountSource(r Root, target string) error {
	switch r.Kind {
	case RootDevice:
		device, err := m.findDevice(r)
		if err != nil {
			return err
		}
		return m.mountDevice(r, device, target)
	case RootFile:
		return m.mountImage(r, r.Name, target)
	case RootShare:
		return m.mountNamed(r, target)
	case RootNFS:
		return m.mountNFS(r, target)
	case RootHelper:
		return m.runHelper(r, target)
	}
	return fmt.Errorf("no such kind of root: %s", r.Kind)
}

// mountDevice mounts a block device: as one of the types that the command line
// names, else as what is found on it, else as whatever the kernel takes it for.
func (m *pid1) mountDevice(r Root, device, target string) error {
	types := r.Types
	var err error
	if types == nil {
		if types, err = m.typeOf(device); err != nil {
			return err
		}
	}
	guessed := types == nil
	if guessed {
		if types, err = kernelTypes(); err != nil {
			return err
		}
	}
	var failures []error
	for _, t := range types {
		err := m.tryMount(device, target, t, r)
		if err == nil {
			return nil
		}
		failures = append(failures, err)
		// EINVAL is what a file system says of a device that is not its own;
		// anything else is its real answer (mount_root_generic,
		// init/do_mounts.c, v6.12), but for one that is too small to be read.
		if guessed && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIO) {
			return err
		}
	}
	if guessed {
		return fmt.Errorf("no file system of this kernel is on %s; tried %s; name it with rootfstype=", device, strings.Join(types, ", "))
	}
	return errors.Join(failures...)
}

func (m *pid1) tryMount(device, target, fsType string, r Root) error {
	m.loadFor("fs-" + fsType)
	_, err := mount.Mount(device, target, fsType, r.Data, r.Flags)
	readOnly := errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS)
	if readOnly && r.Flags&unix.MS_RDONLY == 0 {
		m.log.Warnf("root %s cannot be written to; mounting it read-only", device)
		_, err = mount.Mount(device, target, fsType, r.Data, r.Flags|unix.MS_RDONLY)
	}
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w (the kernel has no %s, nor has the image its module)", err, fsType)
	}
	return err
}

// kernelTypes lists the kernel's file systems that live on a block device; ext4
// goes before ext3 and ext2, whose names its driver answers to as well.
func kernelTypes() ([]string, error) {
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

// kernelHas tells whether the kernel knows a file system by now.
func kernelHas(fsType string) bool {
	text, err := readFile("/proc/filesystems")
	return err != nil || strings.Contains(string(text), "\t"+fsType+"\n")
}

// mountNamed mounts what is no block device and goes by a name: a share of the
// host, or a flash device.
func (m *pid1) mountNamed(r Root, target string) error {
	fsType := r.Types[0]
	return m.awaitShare("root "+r.String(), r.Wait, fsType, func() error {
		return m.tryMount(r.Name, target, fsType, r)
	})
}

// awaitShare mounts something that may appear late.
func (m *pid1) awaitShare(what string, limit time.Duration, fsType string, mount func() error) error {
	var last error
	err := m.await(what, limit, func() bool {
		last = mount()
		return !noSuchShare(last, fsType)
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w; the last try: %w", err, last)
	}
	return errors.Join(err, last)
}

// noSuchShare recognises what virtiofs, 9p and ubifs say of a name that nobody
// has. EINVAL of 9p is about an option, not the name (p9_virtio_create,
// net/9p/trans_virtio.c, v6.12), and ENODEV is also what the kernel says of a
// file system that it lacks.
func noSuchShare(err error, fsType string) bool {
	return errors.Is(err, unix.EINVAL) && fsType != "9p" || errors.Is(err, unix.ENOENT) ||
		errors.Is(err, unix.ENODEV) && kernelHas(fsType)
}

// mountOverlay puts a tmpfs over a root, so that it can be written to and
// forgets.
func mountOverlay(lower, writable, size string) error {
	if _, err := mount.Mount("tmpfs", writable, "tmpfs", "mode=0755,size="+size, 0); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	upper, work := writable+"/upper", writable+"/work"
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	_, err := mount.Mount("overlay", newRoot, "overlay", "lowerdir="+lower+",upperdir="+upper+",workdir="+work, 0)
	if errors.Is(err, unix.ENODEV) {
		err = fmt.Errorf("%w (the kernel has no overlay, nor has the image its module)", err)
	}
	return err
}
