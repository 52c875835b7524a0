//go:build linux

package debian

import (
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// TestSysVInit boots a Debian without systemd, and ends it from its own shells.
func TestSysVInit(t *testing.T) {
	t.Parallel()
	root := newRoot(t, sysvinit)
	// inittab(5): Debian's has this line commented out.
	vmtest.Command(t, "sed", "-i", "s/^#T0:.*/T0:23:respawn:\\/sbin\\/getty -L ttyS0 115200 vt100/", filepath.Join(root, "etc/inittab"))
	d := disk(t, fileSystem(t, root, "ext4"), "")
	m := newMachine(t, vmtest.CloudKernel(t), d, "root=UUID="+fsUUID)

	for _, tc := range []struct {
		name, line, argv, level string
		shell                   func(g *vmtest.Guest)
	}{
		// init(8) writes its run level over its arguments.
		{"login", "COLOUR=blue", "init [2]", "N 2", login},
		{"single", "single", "init [S]", "N S", maintenance},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := vmtest.Start(t, line(m, tc.line))
			tc.shell(g)
			got := ask(t, g)
			check(t, got, map[string]string{"state": tc.level, "argv": tc.argv, "hostname": hostname,
				"tty": "/dev/ttyS0", "old-root": "", "leftovers": "/run/initramfs", "writable": "yes"})
			if !strings.HasPrefix(got["mount"], "/dev/vda / ext4 rw,") {
				t.Errorf("the root is %q, want ext4 on /dev/vda, which can be written to", got["mount"])
			}
			if !strings.Contains(got["fsck"], ": clean,") {
				t.Errorf("fsck says %q, want the root to be clean", got["fsck"])
			}
			g.Send("poweroff\n")
			vmtest.Contains(t, g.End(), "Will now halt", "reboot: Power down")
			// A journal that has to be replayed is that of a root that was
			// still in use.
			vmtest.Lacks(t, vmtest.Command(t, "dumpe2fs", "-h", d.Path), "needs_recovery")
		})
	}
}
