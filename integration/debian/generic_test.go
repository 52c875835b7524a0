//go:build linux

package debian

import (
	"testing"

	"rambox/internal/vmtest"
)

// TestGenericKernel boots with the kernel for real machines, where everything
// that a root needs is a module, on what is not ext4. TestDebian looks at the
// systems themselves.
func TestGenericKernel(t *testing.T) {
	t.Parallel()
	k := vmtest.GenericKernel(t)
	root := newRoot(t, systemd)
	for _, tc := range []struct{ fs, root, mount string }{
		{"xfs", "root=UUID=" + fsUUID, "/dev/vda / xfs rw,"},
		{"btrfs", "root=LABEL=" + fsLabel, "/dev/vda / btrfs rw,"},
		{"squashfs", "root=/dev/vda rambox.overlay", "overlay / overlay rw,"},
	} {
		t.Run(tc.fs, func(t *testing.T) {
			m := newMachine(t, k, disk(t, fileSystem(t, root, tc.fs), ""), tc.root)
			t.Parallel() // the root's fstab is that of each in turn
			out := vmtest.Boot(t, line(m, `rw init=/bin/sh -- -c "grep ' / ' /proc/mounts; exec poweroff -f"`))
			vmtest.Contains(t, out, tc.mount, "reboot: Power down")
		})
	}
}
