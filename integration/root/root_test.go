//go:build linux

// Package root boots machines from every form of root= but the plain path of a
// disk, which is in integration/handoff, and lets each of them fail.
package root

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// nextInit is the init of every root: it says which root it is on, and ends
// the machine.
const nextInit = `#!/bin/sh
echo "== this is root $(cat /etc/name)"
while read -r source at type options _; do
	[ "$at" != / ] || echo "== from $source, $type, $options"
done </proc/mounts
echo "== pid $$, arguments: $*"
[ ! -x /bin/probe ] || . /bin/probe
exec busybox poweroff -f
`

// tree makes the files of a root with this name. probe is shell code that its
// init runs, too.
func tree(t *testing.T, name, probe string) string {
	t.Helper()
	dir := t.TempDir()
	vmtest.AddBusybox(t, dir)
	for _, d := range [...]string{"dev", "proc", "sys", "run", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	vmtest.WriteFile(t, dir, "sbin/init", 0o755, nextInit)
	vmtest.WriteFile(t, dir, "etc/name", 0o644, name+"\n")
	if probe != "" {
		vmtest.WriteFile(t, dir, "bin/probe", 0o755, probe)
	}
	// Directories of the test are for its user alone.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ext4 makes a file system with the files of dir. options are those of mke2fs.
func ext4(t *testing.T, dir string, options ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ext4.img")
	vmtest.Command(t, "mke2fs", slices.Concat([]string{"-q", "-F", "-t", "ext4", "-d", dir}, options, []string{file, "16M"})...)
	return file
}

func squashfs(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.squashfs")
	vmtest.Command(t, "mksquashfs", dir, file, "-quiet", "-no-progress", "-comp", "gzip", "-all-root")
	return file
}

// image makes an initramfs that can reach a virtio disk. more puts files into
// it.
func image(t *testing.T, k kernels.Kernel, modules []string, more ...func(dir string)) string {
	t.Helper()
	dir := vmtest.Tree(t)
	vmtest.AddModules(t, dir, k, append(modules, "virtio_pci", "virtio_blk")...)
	for _, add := range more {
		add(dir)
	}
	return vmtest.Archive(t, dir)
}

// script is a file for image.
func script(t *testing.T, name, content string) func(dir string) {
	return func(dir string) { vmtest.WriteFile(t, dir, name, 0o755, content) }
}

func file(t *testing.T, from, name string) func(dir string) {
	return func(dir string) { vmtest.Copy(t, from, dir, name) }
}

// both runs a test on a kernel whose drivers are modules and on one that has
// none.
func both(t *testing.T, test func(t *testing.T, k kernels.Kernel)) {
	t.Run("cloud", func(t *testing.T) { test(t, vmtest.CloudKernel(t)) })
	t.Run("nomodules", func(t *testing.T) { test(t, vmtest.RunKernel(t)) })
}

// quiet keeps the kernel's notices out of what programs write on the console,
// where they could stand in the middle of a line, and leaves init's warnings.
const quiet = "loglevel=5"

// boots checks that a machine comes to this root, which says all of want, and
// returns the console.
func boots(t *testing.T, vm vmtest.VM, root string, want ...string) string {
	t.Helper()
	vm.Append = quiet + " " + vm.Append // before any "--"
	out := clean(vmtest.Boot(t, vm))
	vmtest.Contains(t, out, append(want, "== this is root "+root+"\n", "== pid 1, ", "reboot: Power down")...)
	vmtest.Lacks(t, out, "did not boot", "Kernel panic", "internal error")
	return out
}

// fails checks that a machine does not boot, that the report says all of want,
// that a person learns what to do, and that the initramfs still works. It
// returns the report.
func fails(t *testing.T, vm vmtest.VM, want ...string) string {
	t.Helper()
	vm.Append += " rambox.rescue=shell " + quiet
	g := vmtest.Start(t, vm)
	return rescued(t, g, want...)
}

// rescued is fails for a machine that runs already.
func rescued(t *testing.T, g *vmtest.Guest, want ...string) string {
	t.Helper()
	g.Expect("--- rambox: this machine did not boot ---")
	report := clean(g.Expect("# "))
	vmtest.Contains(t, report, append(want, "What failed", "Kernel command line", "What was to be done", "Block devices")...)
	lines := strings.Split(strings.TrimSpace(report), "\n")
	if last := slices.IndexFunc(lines, func(l string) bool { return l == "What next" }); last < 0 || last+1 == len(lines) ||
		!strings.HasPrefix(lines[last+1], "  A shell follows. Leave it (exit) to try the boot again") {
		t.Errorf("the report does not end with what to do next:\n%s", report)
	}
	// What was mounted on the way is gone.
	g.Send("echo left: $(busybox grep -c -e newroot -e rambox/root /proc/mounts)\n")
	g.Expect("left: 0")
	g.Send("busybox poweroff -f\n")
	out := g.End()
	vmtest.Contains(t, out, "Power down")
	vmtest.Lacks(t, out, "Kernel panic", "internal error")
	return report
}

// clean is a console without the carriage returns of the terminal.
func clean(console string) string { return strings.ReplaceAll(console, "\r", "") }

func disks(paths ...string) []qemu.Disk {
	var d []qemu.Disk
	for _, p := range paths {
		d = append(d, qemu.Disk{Path: p})
	}
	return d
}

// partition is one that partitioned makes: of an image, and with words for
// sfdisk(8).
type partition struct{ image, words string }

// partitioned makes a disk with a table of this label, "gpt" or "dos", from
// partitions.
func partitioned(t *testing.T, label string, parts ...partition) string {
	t.Helper()
	const mib = 1 << 20
	disk := filepath.Join(t.TempDir(), label+".img")
	f, err := os.Create(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := label + "\n"
	offset := int64(mib)
	for _, p := range parts {
		b, err := os.ReadFile(p.image)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, offset); err != nil {
			t.Fatal(err)
		}
		size := (int64(len(b)) + mib - 1) / mib
		table += fmt.Sprintf("start=%dMiB, size=%dMiB, %s\n", offset/mib, size, p.words)
		offset += size * mib
	}
	if err := f.Truncate(offset + mib); err != nil {
		t.Fatal(err)
	}
	sfdisk := filepath.Join(t.TempDir(), "table")
	if err := os.WriteFile(sfdisk, []byte("label: "+table), 0o644); err != nil {
		t.Fatal(err)
	}
	vmtest.Command(t, "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; exec sfdisk -q --no-reread --no-tell-kernel "$1" <"$2"`, "sh", disk, sfdisk)
	return disk
}

// overwrite changes bytes of a file.
func overwrite(t *testing.T, file string, offset int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
}
