//go:build linux

package debian

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// TestInit boots a root to a program that is not its init, with arguments.
func TestInit(t *testing.T) {
	t.Parallel()
	d := disk(t, fileSystem(t, newRoot(t, systemd), "ext4"), "")
	m := newMachine(t, vmtest.CloudKernel(t), d, "root=/dev/disk/by-uuid/"+fsUUID+" rw")
	script := "echo pid-$$ $# $0 $1; grep ' / ' /proc/mounts; exec poweroff -f"
	out := vmtest.Boot(t, line(m, `init=/bin/sh -- -c "`+script+`" zero "one word"`))
	vmtest.Contains(t, out, "pid-1 1 zero one word", "/dev/vda / ext4 rw,", "reboot: Power down")
}

// TestOverlay boots a live system: a squashfs that cannot be written to, with
// an overlay that can.
func TestOverlay(t *testing.T) {
	t.Parallel()
	d := disk(t, fileSystem(t, newRoot(t, systemd), "squashfs"), gpt)
	m := newMachine(t, vmtest.CloudKernel(t), d, `root="PARTLABEL=`+partLabel+`" rambox.overlay=128M`)
	g := vmtest.Start(t, line(m, ""))
	login(g)
	got := ask(t, g)
	check(t, got, map[string]string{"state": "running", "failed": "", "hostname": hostname, "writable": "yes"})
	if !strings.HasPrefix(got["mount"], "overlay / overlay rw,") {
		t.Errorf("the root is %q, want an overlay", got["mount"])
	}
	end(t, g)

	out := vmtest.Boot(t, line(m, `init=/bin/sh -- -c "[ -s /etc/shadow ] && [ ! -e /var/written ] && echo every''thing is forgotten; exec poweroff -f"`))
	vmtest.Contains(t, out, "everything is forgotten", "reboot: Power down")
}

// ballast is the size of a file in the image, in bytes. It is so large that a
// system which still has it has too little memory left.
const ballast = 192 << 20

// TestBusyboxInit boots the smallest system that one finds on a disk, out of a
// large image.
func TestBusyboxInit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	vmtest.AddBusybox(t, root)
	for _, dir := range [...]string{"dev", "proc", "sys", "run", "tmp", "sbin"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../bin/busybox", filepath.Join(root, "sbin/init")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ballast")
	truncate(t, file, ballast>>20)
	m := newMachine(t, vmtest.CloudKernel(t), qemu.Disk{Path: vmtest.Ext4(t, root, "16")}, "root=/dev/vda", "--add", file+":/ballast")
	// By this word alone busybox starts a shell, and no inittab.
	g := vmtest.Start(t, line(m, "single"))
	g.Expect("/ # ")
	g.Send("echo parent-$PPID; cat /proc/mounts /proc/meminfo; echo do''ne\n")
	out := g.Expect("done")
	vmtest.Contains(t, out, "parent-1", "/dev/vda / ext4 ro,")
	var available int64 // KiB
	if _, err := fmt.Sscanf(out[max(0, strings.Index(out, "MemAvailable")):], "MemAvailable: %d kB", &available); err != nil {
		t.Errorf("MemAvailable: %v\n%s", err, out)
	} else if available<<10 < memory-ballast {
		t.Errorf("%d KiB of memory are available, want more than %d: has the initramfs been freed?", available, (memory-ballast)>>10)
	}
	g.Send("busybox poweroff\n")
	vmtest.Contains(t, g.End(), "The system is going down NOW!", "reboot: Power down")
}

// line is m with these words on the kernel's own line.
func line(m vmtest.VM, words string) vmtest.VM {
	m.Append = words
	return m
}
