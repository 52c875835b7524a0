//go:build linux

package root

import (
	"os"
	"path/filepath"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

var layered = []string{"loop", "squashfs", "overlay"}

func TestSquashfs(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := partitioned(t, "gpt", partition{squashfs(t, tree(t, "squashed", "")), "uuid=" + partOne})
		boots(t, vmtest.VM{Kernel: k, Initrd: image(t, k, layered), Disks: disks(d), Append: "root=PARTUUID=" + partOne}, "squashed",
			"== from /dev/vda1, squashfs, ro")
	})
}

func TestErofs(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	d := filepath.Join(t.TempDir(), "root.erofs")
	vmtest.Command(t, "mkfs.erofs", "-U", uuidOne, d, tree(t, "enhanced", ""))
	boots(t, vmtest.VM{Kernel: k, Initrd: image(t, k, []string{"erofs"}), Disks: disks(d), Append: "root=UUID=" + uuidOne}, "enhanced",
		"== from /dev/vda, erofs, ro")
}

// stick is a disk with an image on it.
func stick(t *testing.T, img string) string {
	t.Helper()
	dir := t.TempDir()
	vmtest.Copy(t, img, dir, "live/root.squashfs")
	return ext4(t, dir, "-L", "stick")
}

func TestFile(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		vm := vmtest.VM{Kernel: k, Initrd: image(t, k, layered), Disks: disks(stick(t, squashfs(t, tree(t, "live", "")))),
			Append: "root=LABEL=stick rambox.file=/live/root.squashfs"}
		boots(t, vm, "live", "== from /dev/loop0, squashfs, ro")
		if k.Modules != "" {
			return // TestOverlayOverFile
		}
		vm.Append += " rw rambox.overlay"
		boots(t, vm, "live", "== from overlay, overlay, rw")
	})
}

// TestFileOnVFAT has a medium whose driver asks the kernel for encodings, which
// calls modprobe for them.
func TestFileOnVFAT(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	d := filepath.Join(t.TempDir(), "stick.vfat")
	vmtest.Command(t, "mkfs.vfat", "-n", "STICK", "-C", d, "65536")
	vmtest.Command(t, "mmd", "-i", d, "::/live")
	vmtest.Command(t, "mcopy", "-i", d, squashfs(t, tree(t, "live", "")), "::/live/root.squashfs")
	modprobe := func(dir string) {
		if err := os.MkdirAll(filepath.Join(dir, "sbin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/init", filepath.Join(dir, "sbin/modprobe")); err != nil {
			t.Fatal(err)
		}
	}
	vm := vmtest.VM{
		Kernel: k, Initrd: image(t, k, append([]string{"vfat", "nls_cp437", "nls_ascii"}, layered...), modprobe), Disks: disks(d),
		Append: "root=LABEL=STICK rambox.file=/live/root.squashfs",
	}
	boots(t, vm, "live", "== from /dev/loop0, squashfs, ro")
}

func TestFileFailures(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil, script(t, "empty.img", ""), script(t, "text.img", "a text is no file system\n"))
	d := disks(stick(t, squashfs(t, tree(t, "live", ""))))
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"no such file", "root=LABEL=stick rambox.file=/live/other", []string{"image: open /run/rambox/root/medium/live/other: no such file or directory"}},
		{"a directory", "root=LABEL=stick rambox.file=/live", []string{"image /run/rambox/root/medium/live: set up /dev/loop0: invalid argument"}},
		{"no such file in the initramfs", "root=/absent.squashfs", []string{"image: open /absent.squashfs: no such file or directory"}},
		{"empty", "root=/empty.img", []string{"image /empty.img: no file system of this kernel is on /dev/loop0"}},
		{"text", "root=/text.img", []string{"image /text.img: no file system of this kernel is on /dev/loop0"}},
		{"overlay over nothing", "root=LABEL=other rootwait=1 rambox.overlay", []string{"root device LABEL=other did not appear within 1s"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: tc.line}, tc.want...)
		})
	}
}

// TestWithoutModules has an image that lacks what the layers need.
func TestWithoutModules(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	img := squashfs(t, tree(t, "live", ""))
	for _, tc := range []struct {
		name, line, want string
		modules          []string
	}{
		{"loop", "root=/live.squashfs", "the kernel has no loop devices, nor has the initramfs the module loop", nil},
		{"squashfs", "root=/live.squashfs", "the kernel has no squashfs, nor has the image its module", []string{"loop"}},
		{"overlay", "root=/live.squashfs rambox.overlay", "the kernel has no overlay, nor has the image its module", []string{"loop", "squashfs"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: image(t, k, tc.modules, file(t, img, "live.squashfs")), Append: tc.line}, tc.want)
		})
	}
}

func TestImageInTheInitramfs(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		initrd := image(t, k, layered, file(t, squashfs(t, tree(t, "inside", "")), "root.squashfs"))
		roots := []string{"/root.squashfs", "file:/root.squashfs"}
		if k.Modules != "" {
			roots = roots[:1]
		}
		for _, root := range roots {
			boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: "root=" + root}, "inside", "== from /dev/loop0, squashfs, ro")
		}
	})
}

// TestWritableImage writes to an image in the initramfs, which is in memory.
func TestWritableImage(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil, file(t, ext4(t, tree(t, "inside", `echo x >/new && echo "== written $(cat /new)"`+"\n")), "root.ext4"))
	boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: "root=/root.ext4 rw"}, "inside", "== from /dev/loop0, ext4, rw", "== written x")
}

// fill writes more than the overlay takes, and changes a file of the lower
// layer.
const fill = `echo changed >/etc/name
rm /bin/env
echo "== the name is $(cat /etc/name) now"
busybox dd if=/dev/zero of=/large bs=1M count=6 2>/dev/null && echo "== 6 MiB fit"
busybox dd if=/dev/zero of=/larger bs=1M count=6 2>/dev/null || echo "== 12 MiB do not"
`

// TestOverlay writes to a root through an overlay, and looks afterwards whether
// the root below is as it was.
func TestOverlay(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := ext4(t, tree(t, "lower", fill), "-L", "lower")
		before := content(t, d)
		vm := vmtest.VM{Kernel: k, Initrd: image(t, k, layered), Disks: disks(d), Append: "root=LABEL=lower rambox.overlay=8M"}
		boots(t, vm, "lower", "== from overlay, overlay, rw", "== the name is changed now", "== 6 MiB fit", "== 12 MiB do not")
		if k.Modules == "" {
			vm.Append = "root=LABEL=lower rambox.overlay"
			vm.Disks = []qemu.Disk{{Path: d, ReadOnly: true}}
			out := boots(t, vm, "lower", "== the name is changed now", "== 6 MiB fit")
			vmtest.Lacks(t, out, "== 12 MiB do not")
		}
		if content(t, d) != before {
			t.Errorf("the disk below the overlay has changed")
		}
	})
}

func content(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOverlayOverFile has all the layers at once.
func TestOverlayOverFile(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	d := stick(t, squashfs(t, tree(t, "live", fill)))
	boots(t, vmtest.VM{Kernel: k, Initrd: image(t, k, layered), Disks: disks(d), Append: "root=LABEL=stick rambox.file=/live/root.squashfs rambox.overlay=8M"}, "live",
		"== from overlay, overlay, rw", "== the name is changed now", "== 6 MiB fit", "== 12 MiB do not")
}
