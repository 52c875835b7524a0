//go:build linux

package boot

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// loopTries is how many free loop devices may be snatched away by others.
const loopTries = 16

// mountImage mounts a file that holds a file system.
func (m *pid1) mountImage(r Root, file, target string) error {
	m.loadFor("loop")
	writable := r.Flags&unix.MS_RDONLY == 0
	mode := os.O_RDONLY
	if writable {
		mode = os.O_RDWR
	}
	backing, err := os.OpenFile(file, mode, 0)
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer backing.Close()
	device, err := AttachLoop(backing, writable)
	if err != nil {
		return fmt.Errorf("image %s: %w", file, err)
	}
	defer device.Close() // the mount keeps it
	if err := m.mountDevice(r, device.Name(), target); err != nil {
		return fmt.Errorf("image %s: %w", file, err)
	}
	return nil
}

// AttachLoop puts a loop device (loop(4)) in front of a file. The device lets go
// of the file when its last user, the result or a mount, is gone.
func AttachLoop(file *os.File, writable bool) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: the kernel has no loop devices, nor has the initramfs the module loop", err)
	}
	defer control.Close()
	flags := os.O_RDONLY
	if writable {
		flags = os.O_RDWR
	}
	for range loopTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), flags, 0)
		if err != nil {
			return nil, fmt.Errorf("loop device: %w", err)
		}
		err = configureLoop(int(device.Fd()), int(file.Fd()), writable)
		if err == nil && writable {
			// A kernel may refuse to mount what is open for writing
			// (CONFIG_BLK_DEV_WRITE_MOUNTED, since Linux 6.8).
			held := device
			device, err = os.Open(held.Name())
			held.Close()
			if err != nil {
				return nil, fmt.Errorf("loop device: %w", err)
			}
		}
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("set up %s: %w", device.Name(), err)
		}
	}
	return nil, errors.New("loop device: others were faster each time")
}

func configureLoop(device, file int, writable bool) error {
	config := unix.LoopConfig{Fd: uint32(file)}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if !writable {
		config.Info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	err := unix.IoctlLoopConfigure(device, &config)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	return setLoop(device, file)
}

// setLoop is for kernels before 5.8. There the device is read-only because it
// has been opened so.
func setLoop(device, file int) error {
	if err := unix.IoctlSetInt(device, unix.LOOP_SET_FD, file); err != nil {
		return err
	}
	if err := unix.IoctlLoopSetStatus64(device, &unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}); err != nil {
		return errors.Join(err, unix.IoctlSetInt(device, unix.LOOP_CLR_FD, 0))
	}
	return nil
}
