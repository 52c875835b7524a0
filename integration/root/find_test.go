//go:build linux

package root

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

const (
	uuidOne   = "11111111-2222-4333-8444-555555555501"
	uuidTwo   = "11111111-2222-4333-8444-555555555502"
	uuidDOS   = "11111111-2222-4333-8444-555555555503"
	partOne   = "aaaaaaaa-2222-4333-8444-555555555501"
	partTwo   = "aaaaaaaa-2222-4333-8444-555555555502"
	dosNumber = "deadbeef"
)

// twoDisks are one with a GPT, of whose two partitions the second is the root
// that tests mean by "two", and one with an MBR, whose second is "dos".
func twoDisks(t *testing.T) []qemu.Disk {
	t.Helper()
	one := ext4(t, tree(t, "one", ""), "-L", "one", "-U", uuidOne)
	two := ext4(t, tree(t, "two", ""), "-L", "my root", "-U", uuidTwo)
	dos := ext4(t, tree(t, "dos", ""), "-L", "dos", "-U", uuidDOS)
	return disks(
		partitioned(t, "gpt", partition{one, "uuid=" + partOne + `, name="first"`}, partition{two, "uuid=" + partTwo + `, name="the root"`}),
		partitioned(t, "dos\nlabel-id: 0x"+dosNumber, partition{one, "type=83"}, partition{dos, "type=83"}))
}

func TestFind(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	d, initrd := twoDisks(t), image(t, k, nil)
	for _, tc := range []struct{ root, from, name string }{
		{"root=UUID=" + uuidTwo, "/dev/vda2", "two"},
		{"root=UUID=" + strings.ToUpper(uuidTwo), "/dev/vda2", "two"},
		{`"root=LABEL=my root"`, "/dev/vda2", "two"},
		{`root=/dev/disk/by-label/my\x20root`, "/dev/vda2", "two"},
		{"root=/dev/disk/by-uuid/" + uuidDOS, "/dev/vdb2", "dos"},
		{"root=PARTUUID=" + partTwo, "/dev/vda2", "two"},
		{"root=PARTUUID=" + partOne + "/PARTNROFF=1", "/dev/vda2", "two"},
		{"root=/dev/disk/by-partuuid/" + strings.ToUpper(partTwo), "/dev/vda2", "two"},
		{`root="PARTLABEL=the root"`, "/dev/vda2", "two"},
		{"root=PARTUUID=" + dosNumber + "-02", "/dev/vdb2", "dos"},
		{"root=PARTUUID=" + strings.ToUpper(dosNumber) + "-01/PARTNROFF=1", "/dev/vdb2", "dos"},
	} {
		t.Run(tc.root, func(t *testing.T) {
			boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: tc.root + " -- last"}, tc.name,
				"== from "+tc.from+", ext4, ro", "== pid 1, arguments: last\n")
		})
	}
}

// TestFindWithModules has the drivers and the file system loaded first.
func TestFindWithModules(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	boots(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Disks: twoDisks(t), Append: "rw root=LABEL=dos"}, "dos",
		"== from /dev/vdb2, ext4, rw")
}

// TestFindByNumber asks the machine for the numbers first: the kernel gives
// them out as it likes.
func TestFindByNumber(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := twoDisks(t)
		initrd := image(t, k, nil, script(t, "number", "#!/bin/sh\necho \"vdb2-is $(cat /sys/class/block/vdb2/dev) end\"\n"))
		out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: "rambox.payload=/number"})
		_, rest, _ := strings.Cut(vmtest.Programs(out), "vdb2-is ")
		number, _, _ := strings.Cut(rest, " ")
		major, minor, ok := strings.Cut(number, ":")
		a, err1 := strconv.Atoi(major)
		b, err2 := strconv.Atoi(minor)
		if !ok || err1 != nil || err2 != nil {
			t.Fatalf("the number of vdb2 is %q", number)
		}
		hex := strconv.FormatInt(int64(a<<8|b), 16)
		roots := []string{number, hex, "0x" + hex}
		if k.Modules != "" {
			roots = roots[:1] // drivers do not care how a number is written
		}
		for _, root := range roots {
			boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: "root=" + root}, "dos", "== from /dev/vdb2, ext4, ro")
		}
	})
}

// TestNotFound has the disks above, and a root that is not among them, or that
// cannot be.
func TestNotFound(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	d, initrd := twoDisks(t), image(t, k, nil)
	for _, tc := range []struct {
		name, line string
		want       []string
	}{
		{"UUID", "rootwait=1 root=UUID=" + partOne, []string{"root device UUID=" + partOne + " did not appear within 1s",
			"ext4 UUID=" + uuidTwo + " LABEL=my root PARTUUID=" + partTwo + " PARTLABEL=the root", "gpt partition table", "dos partition table"}},
		{"PARTNROFF", "rootwait=1 root=PARTUUID=" + partTwo + "/PARTNROFF=1", []string{"PARTNROFF=1 did not appear within 1s"}},
		{"number", "rootwait=1 root=99:1", []string{"root device 99:1 did not appear within 1s"}},
		{"by-id", "root=/dev/disk/by-id/virtio-x", []string{"there is no udev in the initramfs: name the device by UUID=, PARTUUID= or LABEL="}},
		{"empty tag", "root=LABEL=", []string{"LABEL= without a value"}},
		{"nonsense", "root=nonsense", []string{"root=nonsense: no form of a block device"}},
		{"the whole disk", "root=/dev/vda", []string{"no file system of this kernel is on /dev/vda"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: tc.line}, tc.want...)
		})
	}
}

func TestSameLabel(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	one := ext4(t, tree(t, "one", ""), "-L", "root", "-U", uuidOne)
	two := ext4(t, tree(t, "two", ""), "-L", "root", "-U", uuidTwo)
	vm := vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Disks: disks(one, two), Append: "root=LABEL=root"}
	fails(t, vm, "LABEL=root is on /dev/vda and on /dev/vdb: name one of them by UUID=, PARTUUID= or its path", "UUID="+uuidOne, "UUID="+uuidTwo)
	vm.Append = "root=UUID=" + uuidTwo
	boots(t, vm, "two")
}

// TestContent has disks whose content is not a good file system.
func TestContent(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil)
	good := tree(t, "good", "")
	swap := func(t *testing.T) string {
		d := ext4(t, good)
		if err := os.Truncate(d, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(d, 4<<20); err != nil {
			t.Fatal(err)
		}
		vmtest.Command(t, "mkswap", "-q", "-L", "swap", "-U", uuidOne, d)
		return d
	}
	luks := func(t *testing.T) string {
		d := ext4(t, good)
		// LUKS1: its version, and at 168 its UUID (LUKS1 On-Disk Format
		// Specification 1.2.3, 3.1).
		header := make([]byte, 592)
		copy(header, "LUKS\xba\xbe\x00\x01")
		copy(header[168:], uuidOne)
		overwrite(t, d, 0, header)
		return d
	}
	noSuper := func(t *testing.T) string {
		d := ext4(t, good, "-L", "broken")
		overwrite(t, d, 1024, make([]byte, 1024))
		return d
	}
	damaged := func(t *testing.T) string {
		d := ext4(t, good, "-L", "broken")
		overwrite(t, d, 1024+0x78, []byte("other"))
		return d
	}
	two := func(t *testing.T) string {
		d := ext4(t, good, "-U", uuidOne)
		// ext4 leaves its first KiB alone, and squashfs has its superblock there:
		// magic, version 4.0, 4096 bytes (fs/squashfs/squashfs_fs.h).
		header := make([]byte, 96)
		copy(header, "hsqs")
		header[28], header[41] = 4, 16
		overwrite(t, d, 0, header)
		return d
	}
	for _, tc := range []struct {
		name string
		disk func(t *testing.T) string
		line string
		want []string
	}{
		{"swap", swap, "root=LABEL=swap", []string{"/dev/vda holds swap, no file system", "swap UUID=" + uuidOne + " LABEL=swap"}},
		{"LUKS", luks, "root=UUID=" + uuidOne, []string{"/dev/vda holds crypto_LUKS, no file system", "a hook of the image has to open it first", "crypto_LUKS UUID=" + uuidOne}},
		{"no superblock", noSuper, "root=/dev/vda", []string{"no file system of this kernel is on /dev/vda; tried ext4", "name it with rootfstype=", "nothing that we know"}},
		{"no superblock, by its label", noSuper, "root=LABEL=broken rootwait=1", []string{"root device LABEL=broken did not appear within 1s", "nothing that we know"}},
		{"damaged superblock", damaged, "root=/dev/vda", []string{`mount /newroot: from device "/dev/vda" (fs type ext4, flags 0x1): bad message`}},
		{"two superblocks", two, "root=/dev/vda", []string{"/dev/vda: ", "ext4", "squashfs"}},
		{"two superblocks, by one's UUID", two, "root=UUID=" + uuidOne + " rootwait=1", []string{"did not appear within 1s", "several superblocks on one device: "}},
		{"empty", func(t *testing.T) string {
			d := ext4(t, good)
			overwrite(t, d, 0, make([]byte, 16<<20))
			return d
		}, "root=/dev/vda", []string{"no file system of this kernel is on /dev/vda"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fails(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: disks(tc.disk(t)), Append: tc.line}, tc.want...)
		})
	}
}

func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := []qemu.Disk{{Path: ext4(t, tree(t, "sealed", ""), "-L", "sealed"), ReadOnly: true}}
		boots(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Disks: d, Append: "root=LABEL=sealed rw"}, "sealed",
			"root /dev/vda cannot be written to; mounting it read-only", "== from /dev/vda, ext4, ro")
	})
}

// TestBackupTable has a GPT whose first copy is gone. The kernel takes the
// second one only when it is told to (gpt, Documentation/admin-guide/
// kernel-parameters.txt); the partitions have no devices else.
func TestBackupTable(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil)
	d := partitioned(t, "gpt", partition{ext4(t, tree(t, "one", "")), "uuid=" + partOne})
	overwrite(t, d, 512, make([]byte, 512))
	vm := vmtest.VM{Kernel: k, Initrd: initrd, Disks: disks(d), Append: "root=PARTUUID=" + partOne + " rootwait=2"}
	fails(t, vm, "did not appear within 2s", "gpt partition table", "backup")
	vm.Append += " gpt"
	boots(t, vm, "one", "== from /dev/vda1, ext4, ro")
}
