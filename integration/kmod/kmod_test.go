//go:build linux

// Package kmod runs the tests of pkg/kmod that need a kernel to load modules
// into: the test binary itself is PID 1.
package kmod

import (
	"strings"
	"testing"

	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

func TestLoaderInAMachine(t *testing.T) {
	k := vmtest.CloudKernel(t)
	dir := t.TempDir()
	vmtest.Copy(t, vmtest.TestBinary(t, "rambox/pkg/kmod"), dir, "init")
	vmtest.AddModules(t, dir, k, "virtio_pci", "virtio_blk", "virtio_net", "loop", "vfat", "btrfs")
	initrd := vmtest.Archive(t, dir)
	disk := qemu.Disk{Path: vmtest.Ext4(t, t.TempDir(), "16")}
	for _, cpus := range []string{"1", "2"} {
		t.Run(cpus+" CPUs", func(t *testing.T) {
			out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: []qemu.Disk{disk},
				Extra: []string{"-smp", cpus}, Append: "-- -test.v -test.run=VM"})
			vmtest.Contains(t, out, "--- PASS: TestVM", "\nPASS\r\n")
			vmtest.Lacks(t, out, "--- FAIL", "--- SKIP", "panic:")
			if strings.Count(vmtest.Programs(out), "--- PASS: TestVM") < 4 {
				t.Errorf("too few tests have run:\n%s", out)
			}
		})
	}
}
