//go:build linux

package debian

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// arch is Debian's name of the architecture that the tests boot.
const arch = "amd64"

// packages are what the root has beside Debian's required ones.
const packages = "systemd-sysv,udev,dbus"

// hostname is that of the root, not of the image.
const hostname = "debian-root"

// facts is a program of the root. It waits for the end of the boot and tells
// what has become of the system, a fact a line.
const facts = `#!/bin/sh
dmesg -n 1
fact() { name=$1; shift; echo "fact $name: $*"; }
fact state $(systemctl is-system-running --wait)
fact failed $(systemctl --failed --plain --no-legend)
fact mount "$(grep ' / ' /proc/mounts)"
fact run "$(grep ' /run ' /proc/mounts)"
fact old-root $(grep -E 'newroot|rootfs' /proc/mounts)
fact line "$(cat /proc/cmdline)"
fact argv $(tr '\0' ' ' </proc/1/cmdline)
fact environment $(tr '\0' ' ' </proc/1/environ)
fact hostname $(cat /proc/sys/kernel/hostname)
fact tty $(tty)
fact available $(awk '/^MemAvailable/ {print $2}' /proc/meminfo)
fact leftovers $(ls -d /run/initramfs /run/rambox /newroot /init /run/net-* 2>/dev/null)
fact fsck $(journalctl -b -u systemd-fsck-root -o cat --no-pager | grep -i clean)
fact written $(cat /var/written 2>&1)
date >/var/written && fact writable yes
journalctl -b -p warning --no-pager -o cat
echo "end of facts"
`

// cachedRoot is a Debian root of the host's release. It is made once, because
// that takes a minute, from the mirror that the host itself uses.
func cachedRoot(t *testing.T) string {
	t.Helper()
	cache, err := kernels.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	release, mirror := source(t)
	dir := filepath.Join(cache, "debian", strings.Join([]string{release, arch, packages}, "-"))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	root := filepath.Join(tmp, "root")
	// What it mounts on the root goes away with its namespace, whatever
	// happens to it: nothing is mounted below what is removed.
	vmtest.Command(t, "unshare", "--mount", "sh", "-ec", `
		eval "$(apt-config shell proxy Acquire::http::Proxy)"
		[ -z "$proxy" ] || export http_proxy="$proxy"
		debootstrap --variant=minbase --arch="$1" --include="$2" "$3" "$4" "$5"
		cd "$4"
		rm -rf run/* tmp/* var/cache/apt/* var/lib/apt/lists/* usr/share/doc usr/share/man usr/share/locale
		`, "sh", arch, packages, release, root, mirror)
	if err := os.Rename(root, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// source is the release of the host and the mirror that it has its main
// packages from.
func source(t *testing.T) (release, mirror string) {
	t.Helper()
	release = strings.TrimSpace(vmtest.Command(t, "sh", "-c", `. /etc/os-release && echo "$VERSION_CODENAME"`))
	targets := vmtest.Command(t, "apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Identifier: Packages")
	for line := range strings.Lines(targets) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == release && f[1] == "main" {
			return release, f[2]
		}
	}
	t.Fatalf("no apt source of this machine has the component main of %q", release)
	return "", ""
}

// newRoot copies the Debian root and adds what the tests look for.
func newRoot(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	vmtest.Command(t, "cp", "-a", cachedRoot(t), dir)
	vmtest.WriteFile(t, dir, "etc/hostname", 0o644, hostname+"\n")
	vmtest.WriteFile(t, dir, "usr/local/sbin/facts", 0o755, facts)
	// root may log in without a password.
	vmtest.Command(t, "sed", "-i", "s/^root:[^:]*:/root::/", filepath.Join(dir, "etc/shadow"))
	return dir
}
