//go:build linux && small

package small

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// nodeCards are the cards of QEMU's that PCs and other hypervisors' guests have, by
// their names there and by their drivers'.
var nodeCards = []struct{ device, driver string }{
	{"e1000", "e1000"}, {"e1000e", "e1000e"}, {"rtl8139", "8139cp"}, {"i82557b", "e100"}, {"pcnet", "pcnet32"},
	{"tulip", "tulip"}, {"vmxnet3", "vmxnet3"}, {"virtio-net-pci", "virtio_net"}, {"usb-net", "cdc_ether"},
}

// nodeReport prints each card's driver and address, and what else a node has.
const nodeReport = `#!/bin/sh
for d in /sys/class/net/[eu]*; do
	. /run/net-${d##*/}.conf
	driver=$(readlink -f $d/device/driver)
	echo "card ${driver##*/} $IPV4ADDR"
done
ls /dev/watchdog0
cat /sys/class/rtc/rtc0/name /sys/class/input/input*/name
for f in squashfs erofs overlay nfs4 ext4; do grep -w $f /proc/filesystems; done
grep -c . /proc/modules 2>&1
cat /proc/consoles
`

// TestNode boots a PC with many cards, each on a network of its own with a DHCP
// server: every one is driven, with no module, and has its lease.
func TestNode(t *testing.T) {
	dir := t.TempDir()
	vmtest.WriteFile(t, dir, "report", 0o755, nodeReport)
	img := filepath.Join(dir, "image")
	build := []string{"build", "-o", img, "--kernel", "none", "--compress", "none", "--payload", filepath.Join(dir, "report")}
	if got := rambox(t, nil, build...); got.status != 0 {
		t.Fatal(got.stderr)
	}
	extra := []string{"-vga", "std", "-device", "qemu-xhci", "-device", "usb-kbd", "-device", "i6300esb"}
	line := "console=tty0"
	for i, c := range nodeCards {
		device, name := c.device+fmt.Sprintf(",netdev=n%d", i), fmt.Sprintf("eth%d", i)
		if c.device == "usb-net" { // the last; its driver names it otherwise
			name = "usb0"
		} else {
			device += ",romfile="
		}
		extra = append(extra, "-netdev", fmt.Sprintf("user,id=n%d,net=10.0.%d.0/24", i, 100+i), "-device", device)
		line += " ip=" + name + ":dhcp"
	}
	// The last console is the one that a payload's output goes to.
	console := vmtest.Boot(t, vmtest.VM{Kernel: kernel(t, "node", "amd64"), Initrd: img, Append: line + " console=ttyS0", Extra: extra})
	addresses := map[string]bool{}
	for _, c := range nodeCards {
		_, after, ok := strings.Cut(console, "card "+c.driver+" 10.0.")
		address, _, _ := strings.Cut(after, "\n")
		if !ok || addresses[address] {
			t.Errorf("%s has no address of its own by driver %s", c.device, c.driver)
		}
		addresses[address] = true
	}
	vmtest.Contains(t, console, "i6300ESB timer", "\n/dev/watchdog0", "rtc_cmos", "QEMU USB Keyboard", "AT Translated Set 2 keyboard",
		"\tsquashfs", "\terofs", "\toverlay", "\tnfs4", "\text4", "/proc/modules: No such file", "tty0", "reboot: Power down")
	if t.Failed() {
		t.Logf("the console:\n%s", console)
	}
}
