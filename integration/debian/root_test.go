//go:build linux

package debian

import (
	"path/filepath"
	"testing"

	"rambox/internal/vmtest"
)

// What a root has beside Debian's required packages, by its init.
const (
	systemd  = "systemd-sysv,udev,dbus"
	sysvinit = "sysvinit-core,udev"
)

// hostname is that of the root, not of the image.
const hostname = "debian-root"

// facts is a program of the root. It waits for the end of the boot and tells
// what has become of the system, a fact a line.
const facts = `#!/bin/sh
dmesg -n 1
fact() { name=$1; shift; echo "fact $name: $*"; }
if [ -d /run/systemd/system ]; then
	fact state $(systemctl is-system-running --wait)
	fact failed $(systemctl --failed --plain --no-legend)
	fact fsck $(journalctl -b -u systemd-fsck-root -o cat --no-pager | grep -i clean)
	journalctl -b -p warning --no-pager -o cat
else
	fact state $(runlevel)
	fact fsck $(grep clean /var/log/fsck/checkroot)
fi
fact mount "$(grep ' / ' /proc/mounts)"
fact run "$(grep ' /run ' /proc/mounts)"
fact old-root $(grep -E 'newroot|rootfs' /proc/mounts)
fact line "$(cat /proc/cmdline)"
fact argv $(tr '\0' ' ' </proc/1/cmdline)
fact environment $(tr '\0' ' ' </proc/1/environ)
fact hostname $(cat /proc/sys/kernel/hostname)
fact tty $(tty)
fact leftovers $(ls -d /run/initramfs /run/rambox/* /newroot /init /run/net-* 2>/dev/null | grep -vx /run/rambox/boot.json)
fact written $(cat /var/written 2>&1)
date >/var/written && fact writable yes
echo "end of facts"
`

// newRoot copies a Debian root with these packages and adds what the tests look
// for.
func newRoot(t *testing.T, packages string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	vmtest.Command(t, "cp", "-a", vmtest.DebianRoot(t, packages), dir)
	vmtest.WriteFile(t, dir, "etc/hostname", 0o644, hostname+"\n")
	vmtest.WriteFile(t, dir, "usr/local/sbin/facts", 0o755, facts)
	// root may log in without a password.
	vmtest.Command(t, "sed", "-i", "s/^root:[^:]*:/root::/", filepath.Join(dir, "etc/shadow"))
	return dir
}
