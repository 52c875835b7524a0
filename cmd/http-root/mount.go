//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"rambox/pkg/boot"
)

// mountImage mounts a file system on the target.
func (p plan) mountImage(img *image, kind format, log logger) error {
	head := make([]byte, headSize)
	n, _ := img.file.ReadAt(head, 0)
	types := p.types
	if types == nil {
		types = kind.types()
	}
	if types == nil {
		return errFormat("the image", head[:n])
	}
	writable := p.access == readWrite && !kind.isReadOnly()
	if p.access == readWrite && kind.isReadOnly() {
		log.printf("%s is read-only, whatever rw says; rambox.overlay makes a writable root of it", kind)
	}
	device, err := boot.AttachLoop(img.file, writable)
	if err != nil {
		return err
	}
	defer device.Close() // if nothing has mounted it, that frees it
	flags := p.flags
	if !writable {
		flags |= unix.MS_RDONLY
	}
	var failures []string
	for _, t := range types {
		err := unix.Mount(device.Name(), p.target, t, flags, p.data)
		if writable && (err == unix.EROFS || err == unix.EACCES) {
			log.printf("%s cannot be written to; mounting it read-only", t)
			err = unix.Mount(device.Name(), p.target, t, flags|unix.MS_RDONLY, p.data)
		}
		if err == nil {
			log.printf("%s mounted on %s from %s", t, p.target, device.Name())
			return nil
		}
		failures = append(failures, fmt.Sprintf("mount %s from %s on %s: %v%s", t, device.Name(), p.target, err, mountHint(err, t, head[:n])))
		// EINVAL is what a file system says of an image that is not its own, and
		// ENODEV is said when there is no such file system.
		if err != unix.EINVAL && err != unix.ENODEV {
			break
		}
	}
	return errors.New(strings.Join(failures, "; "))
}

// mountHint says what may be the matter, and what to do.
func mountHint(err error, fsType string, head []byte) string {
	switch {
	case errors.Is(err, unix.ENODEV):
		return ": the kernel has no " + fsType + ", nor has the initramfs the module " + fsType
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES):
		return ": the image may have been in use when it was made; give rw, or rootflags=noload"
	case errors.Is(err, unix.EINVAL) && fsType == "squashfs" && squashfsCompression(head) != "":
		return ": the image is damaged, or the kernel lacks its compression, which is " + squashfsCompression(head)
	case errors.Is(err, unix.EINVAL):
		return ": the image is damaged or is no " + fsType + ", or the kernel does not know all that it makes use of, or an option of rootflags="
	}
	return ""
}
