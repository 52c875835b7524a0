package main

import (
	"fmt"
	"os"
	"strings"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/pkg/cmdline"
)

// checkKernel refuses a kernel that ignores every image.
func checkKernel(k kernels.Kernel) error {
	config, err := kernels.ReadConfig(k.Config)
	if err != nil {
		return err
	}
	if on, known := config.Enabled("BLK_DEV_INITRD"); known && !on {
		return fmt.Errorf("kernel %s was built without CONFIG_BLK_DEV_INITRD (%s): it takes no image; set that and build it again, or name another kernel", k.Path, k.Config)
	}
	return nil
}

const mebibyte = 1 << 20

// checkMemory refuses an image that cannot be unpacked, which a kernel would
// say late and badly. Beside the kernel lie the image and what is unpacked from
// it, and a tmpfs, which the root is unless something is to be mounted on it or
// the line has another type (init_rootfs, init/do_mounts.c), takes at most half of what is free at the
// start. So the image counts two or three times; a compressed one even more,
// which is not looked into.
func checkMemory(k kernels.Kernel, m qemu.Machine, initrd *os.File) error {
	config, err := kernels.ReadConfig(k.Config)
	if err != nil {
		return err
	}
	info, err := initrd.Stat()
	if err != nil {
		return err
	}
	kernel, err := k.Memory()
	if err != nil {
		return err
	}
	image := info.Size()
	times := int64(3)
	line := cmdline.Parse(m.Cmdline)
	types, typed := line.Value("rootfstype")
	if tmpfs, known := config.Enabled("TMPFS"); !known || !tmpfs || line.Has("root") || typed && !strings.Contains(types, "tmpfs") {
		times = 2
	}
	need := times*image + kernel
	if need <= m.Memory {
		return nil
	}
	// What is to be given leaves something to the program, and to the kernel's
	// tables, a 64th.
	const step = 64 * mebibyte
	give := (need + need/32 + step + step - 1) / step * step
	return fmt.Errorf("%d MiB of memory are too little: the image has %d MiB and takes %d times that while it is unpacked, and the kernel %d MiB; give --memory %dM",
		m.Memory/mebibyte, (image+mebibyte-1)/mebibyte, times, (kernel+mebibyte-1)/mebibyte, give/mebibyte)
}

// appletHint says what may help when a program was not found.
func (o *runOptions) appletHint(args []string, arch string) string {
	if len(args) == 0 || strings.Contains(args[0], "/") || foreign(arch) || findBusybox(o.busybox, arch) != "" {
		return ""
	}
	return "; there is no busybox here either, which might have it (Debian: apt-get install busybox-static, or name one with --busybox)"
}
