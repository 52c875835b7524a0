//go:build linux

// Package bench measures what the design has budgets for, beside the simplest
// thing that does the same job, on the same kernel and in one run. In-guest
// times are instructions: under -icount shift=0,sleep=off one nanosecond of the
// guest's clock is one instruction, so a figure repeats to the microsecond.
package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// payload marks in the kernel's log the moment at which it runs, and stays for
// a moment where it is PID 1.
const payload = `
#include <fcntl.h>
#include <unistd.h>
int main(void) {
	int fd = open("/dev/kmsg", O_WRONLY);
	write(fd, "<4>PAYLOAD\n", 11);
	if (getpid() == 1) { sleep(1); }
	return 0;
}`

// cInit is the least that an init can do for job 1.
const cInit = `
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
	mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	mount("proc", "/proc", "proc", 0, 0);
	mount("sysfs", "/sys", "sysfs", 0, 0);
	if (fork() == 0) { execl("/app", "/app", (char *)0); _exit(127); }
	wait(0);
	reboot(RB_POWER_OFF);
	return 0;
}`

const busyboxInit = `#!/bin/sh
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
/app
busybox poweroff -f
`

const busyboxRoot = `#!/bin/sh
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
MODULES
mount -t ext4 -o ro /dev/vda /newroot
mount --move /dev /newroot/dev
mount --move /proc /newroot/proc
mount --move /sys /newroot/sys
exec busybox switch_root /newroot /sbin/init
`

// BenchmarkJob1 runs a static payload.
func BenchmarkJob1(b *testing.B) {
	k := vmtest.CloudKernel(b)
	measure(b, "rambox", vmtest.VM{Kernel: k, Append: "rambox.payload=/app", Initrd: ourImage(b)})
	measure(b, "C", vmtest.VM{Kernel: k, Initrd: cImage(b)})
	measure(b, "busybox-script", vmtest.VM{Kernel: k, Initrd: scriptImage(b)})
}

// ourImage, cImage and scriptImage do job 1.
func ourImage(b *testing.B) string {
	b.Helper()
	dir := appTree(b)
	vmtest.Copy(b, vmtest.Init(b), dir, "init")
	return vmtest.Archive(b, dir)
}

func cImage(b *testing.B) string {
	b.Helper()
	dir := appTree(b)
	vmtest.Copy(b, vmtest.Program(b, cInit), dir, "init")
	return vmtest.Archive(b, dir)
}

func scriptImage(b *testing.B) string {
	b.Helper()
	dir := appTree(b)
	vmtest.WriteFile(b, dir, "init", 0o755, busyboxInit)
	vmtest.AddBusybox(b, dir)
	return vmtest.Archive(b, dir)
}

// appTree has the payload and what an init mounts on.
func appTree(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	vmtest.Copy(b, vmtest.Program(b, payload), dir, "app")
	for _, d := range []string{"dev", "proc", "sys"} {
		mkdir(b, dir, d)
	}
	return dir
}

// BenchmarkJob2 loads virtio_blk, mounts ext4 and switches to it.
func BenchmarkJob2(b *testing.B) {
	k := vmtest.CloudKernel(b)
	disks := []qemu.Disk{payloadDisk(b)}
	for _, signed := range []bool{true, false} {
		measure(b, "rambox"+suffix(signed), vmtest.VM{Kernel: k, Initrd: ourRootImage(b, k, signed), Disks: disks, Append: rootLine})
		measure(b, "busybox-script"+suffix(signed), vmtest.VM{Kernel: k, Initrd: scriptRootImage(b, k, signed), Disks: disks})
	}
}

// rootLine has the kernel name the disk of payloadDisk.
const rootLine = "root=/dev/vda rootfstype=ext4 ro"

// payloadDisk is a root whose init is the payload.
func payloadDisk(b *testing.B) qemu.Disk {
	b.Helper()
	root := b.TempDir()
	vmtest.Copy(b, vmtest.Program(b, payload), root, "sbin/init")
	for _, d := range []string{"dev", "proc", "sys", "run"} {
		mkdir(b, root, d)
	}
	return qemu.Disk{Path: vmtest.Ext4(b, root, "16"), ReadOnly: true}
}

// ourRootImage has what job 2 needs and no more.
func ourRootImage(b *testing.B, k kernels.Kernel, signed bool) string {
	b.Helper()
	if !signed {
		return unsignedImage(b, k, "virtio_pci,virtio_blk")
	}
	dir := moduleTree(b, k, signed, "virtio_pci", "virtio_blk")
	vmtest.Copy(b, vmtest.Init(b), dir, "init")
	return vmtest.Archive(b, dir)
}

// unsignedImage is made by rambox build, which cuts off more than signatures.
func unsignedImage(b *testing.B, k kernels.Kernel, modules string, flags ...string) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "image")
	vmtest.Command(b, vmtest.Rambox(b), append([]string{"build", "-q", "-o", file, "--compress", "none", "--no-busybox",
		"--kernel", k.Path, "--modules", modules, "--unsigned-modules"}, flags...)...)
	return file
}

// scriptRootImage is job 2 as a script.
func scriptRootImage(b *testing.B, k kernels.Kernel, signed bool) string {
	b.Helper()
	dir := moduleTree(b, k, signed, "virtio_pci", "virtio_blk")
	vmtest.AddBusybox(b, dir)
	for _, d := range []string{"dev", "proc", "sys", "newroot"} {
		mkdir(b, dir, d)
	}
	load := insmods(b, dir, k, "virtio_pci", "virtio_blk")
	vmtest.WriteFile(b, dir, "init", 0o755, strings.Replace(busyboxRoot, "MODULES", load, 1))
	return vmtest.Archive(b, dir)
}

// moduleTree is a tree with modules, whose signatures may be cut off.
func moduleTree(b *testing.B, k kernels.Kernel, signed bool, modules ...string) string {
	b.Helper()
	dir := b.TempDir()
	vmtest.AddModules(b, dir, k, modules...)
	if !signed {
		unsign(b, dir)
	}
	return dir
}

// suffix names what is measured without signatures.
func suffix(signed bool) string {
	if signed {
		return ""
	}
	return "-unsigned"
}

func mkdir(b *testing.B, dir, name string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		b.Fatal(err)
	}
}

// unsign cuts the signatures off the modules below dir.
func unsign(b *testing.B, dir string) {
	b.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".ko") {
			return err
		}
		module, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		const magic = "~Module signature appended~\n"
		body, ok := strings.CutSuffix(string(module), magic)
		if !ok {
			return nil
		}
		// The last four bytes before the magic are the signature's length.
		n := len(body)
		length := int(body[n-4])<<24 | int(body[n-3])<<16 | int(body[n-2])<<8 | int(body[n-1])
		return os.WriteFile(p, []byte(body[:n-12-length]), 0o644)
	})
	if err != nil {
		b.Fatal(err)
	}
}

// insmods is the loading order that modprobe would take.
func insmods(b *testing.B, dir string, k kernels.Kernel, modules ...string) string {
	b.Helper()
	var lines strings.Builder
	seen := map[string]bool{}
	for _, m := range modules {
		out := vmtest.Command(b, "modprobe", "-d", dir, "-S", k.Release, "--show-depends", m)
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0] != "insmod" || seen[f[1]] {
				continue
			}
			seen[f[1]] = true
			lines.WriteString("busybox insmod " + strings.TrimPrefix(f[1], dir) + "\n")
		}
	}
	return lines.String()
}
