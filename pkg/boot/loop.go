//go:build linux

package boot

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// mountImage mounts a file that holds a file system, through a loop device that
// goes when the file system is unmounted.
func (m *pid1) mountImage(r Root, file, target string) error {
	m.loadFor("loop")
	device, loop, err := attachLoop(file, r.Flags&unix.MS_RDONLY != 0)
	if err != nil {
		return fmt.Errorf("image %s: %w", file, err)
	}
	defer unix.Close(loop) // the mount keeps the device
	return m.mountDevice(r, device, target)
}

// attachLoop attaches a file to a free loop device (loop(4)), and returns the
// open device.
func attachLoop(file string, readOnly bool) (device string, loop int, err error) {
	mode, flags := unix.O_RDWR, uint32(unix.LO_FLAGS_AUTOCLEAR)
	if readOnly {
		mode, flags = unix.O_RDONLY, flags|unix.LO_FLAGS_READ_ONLY
	}
	backing, err := unix.Open(file, mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(backing)
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, fmt.Errorf("open /dev/loop-control: %w (the kernel has no loop devices, nor has the image the module loop)", err)
	}
	defer unix.Close(control)
	n, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", -1, fmt.Errorf("find a free loop device: %w", err)
	}
	device = "/dev/loop" + strconv.Itoa(n)
	if loop, err = unix.Open(device, mode|unix.O_CLOEXEC, 0); err != nil {
		return "", -1, fmt.Errorf("open %s: %w", device, err)
	}
	info := unix.LoopInfo64{Flags: flags}
	copy(info.File_name[:len(info.File_name)-1], file)
	err = unix.IoctlLoopConfigure(loop, &unix.LoopConfig{Fd: uint32(backing), Info: info})
	if err == unix.EINVAL || err == unix.ENOTTY { // before Linux 5.8
		if err = unix.IoctlSetInt(loop, unix.LOOP_SET_FD, backing); err == nil {
			err = unix.IoctlLoopSetStatus64(loop, &info)
		}
	}
	if err != nil {
		unix.Close(loop)
		return "", -1, fmt.Errorf("attach to %s: %w", device, err)
	}
	return device, loop, nil
}
