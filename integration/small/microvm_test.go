//go:build linux && small

package small

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// TestMicroVM gives a machine without PCI and ACPI everything that one can have:
// the program's streams, a disk, a network, a directory of the host, a status. It
// ends by a reset, since it cannot power off.
func TestMicroVM(t *testing.T) {
	k := kernel(t, "micro", "amd64")
	dir, shared := t.TempDir(), t.TempDir()
	vmtest.WriteFile(t, shared, "from-host", 0o644, "from the host\n")
	disk := vmtest.Ext4(t, shared, "8")
	stdin := bytes.Repeat([]byte("all bytes: \x00\x01\x04\r\n\xff\n"), 10_000)
	result := filepath.Join(dir, "result")
	for _, machine := range [][]string{{"--machine", "microvm"}, nil} { // which is what this kernel gets by itself
		args := append([]string{"run", "--kernel", k.Release, "--net", "user", "--disk", disk, "--share", shared + ":/mnt,rw", "--result", result}, machine...)
		got := rambox(t, stdin, append(args, "--", "sh", "-c", `cat; exec >&2
cat /mnt/from-host; echo from the guest > /mnt/from-guest
mkdir /disk && mount -t ext4 /dev/vda /disk && cat /disk/from-host && umount /disk
grep IPV4ADDR /run/net-eth0.conf; ls /sys/bus/pci 2>&1; exit 42`)...)
		got.want(t, 42, string(stdin))
		for _, want := range []string{"from the host\nfrom the host\n", "IPV4ADDR='10.0.2.15'\n", "/sys/bus/pci: No such file"} {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("rambox %q: no %q in:\n%s", got.args, want, got.stderr)
			}
		}
		if b, err := os.ReadFile(filepath.Join(shared, "from-guest")); err != nil || string(b) != "from the guest\n" {
			t.Errorf("the guest wrote %q, %v", b, err)
		}
		if b, err := os.ReadFile(result); err != nil || !bytes.Contains(b, []byte("reboot: Restarting system")) {
			t.Errorf("the machine did not reset, %v:\n%s", err, b)
		}
		os.Remove(filepath.Join(shared, "from-guest"))
	}
}
