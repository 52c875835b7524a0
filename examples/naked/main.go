//go:build linux

// Command naked is an initramfs of one file: it says hello, reads the first
// bytes of /dev/sda, or of the device that is named, and powers off.
//
//	CGO_ENABLED=0 go build -o init ./examples/naked
//	echo init | cpio -o -H newc > naked.img
//	qemu-system-x86_64 -kernel vmlinuz -initrd naked.img -append console=ttyS0 -nographic -hda disk.img
//
// The kernel must have the disk's driver built in; one whose drivers are modules
// wants them in the image:
//
//	rambox build --init ./init --modules ata_piix,sd_mod -o naked.img
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/boot"
)

func main() { boot.Main(read) }

// read prints the first sixteen bytes of a disk.
func read(ctx context.Context) error {
	fmt.Println("hello, world")
	name := "/dev/sda"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	disk, err := open(ctx, name, 10*time.Second)
	if err != nil {
		return err
	}
	defer disk.Close()
	first := make([]byte, 16)
	if _, err := io.ReadFull(disk, first); err != nil {
		return fmt.Errorf("read %s: %w", disk.Name(), err)
	}
	fmt.Printf("%s begins with % x\n", disk.Name(), first)
	return nil
}

// open waits for a device: a controller looks for its disks at its leisure.
func open(ctx context.Context, name string, limit time.Duration) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init", err)
	}
	appeared := os.NewFile(uintptr(fd), "inotify")
	defer appeared.Close()
	if _, err := unix.InotifyAddWatch(fd, "/dev", unix.IN_CREATE); err != nil {
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	defer context.AfterFunc(ctx, func() { appeared.Close() })()
	for {
		f, err := os.Open(name)
		if err == nil || !os.IsNotExist(err) {
			return f, err
		}
		if _, err := appeared.Read(make([]byte, 4096)); err != nil {
			return nil, fmt.Errorf("no %s within %v", name, limit)
		}
	}
}
