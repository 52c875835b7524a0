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
	k := vmtest.GenericKernel(t)
	root := newRoot(t, systemd)
	for _, tc := range []struct{ fs, root, mount string }{
		{"xfs", "root=UUID=" + fsUUID, "/dev/vda / xfs rw,"},
		{"btrfs", "root=LABEL=" + fsLabel, "/dev/vda / btrfs rw,"},
		{"squashfs", "root=/dev/vda rambox.overlay", "overlay / overlay rw,"},
	} {
		t.Run(tc.fs, func(t *testing.T) {
			m := newMachine(t, k, disk(t, fileSystem(t, root, tc.fs), ""), tc.root)
			// The shell that comes without the rest of the system.
			g := vmtest.Start(t, line(m, "systemd.unit=rescue.target"))
			maintenance(g)
			g.Send("grep ' / ' /proc/mounts; poweroff -f\n")
			vmtest.Contains(t, g.End(), tc.mount, "reboot: Power down")
		})
	}
}
