//go:build linux

package netboot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"rambox/internal/vmtest"
)

// squashRoot makes a root image with an init that is a script.
func squashRoot(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	vmtest.AddBusybox(t, dir)
	vmtest.WriteFile(t, dir, "sbin/init", 0o755, "#!/bin/sh\nPATH=/bin\nhostname() { cat /proc/sys/kernel/hostname; }\n"+text+"\nexec /bin/busybox poweroff -f\n")
	out := filepath.Join(t.TempDir(), "root.squashfs")
	vmtest.Command(t, "mksquashfs", dir, out, "-quiet", "-no-progress", "-all-root")
	return out
}

// TestServerDies cuts the server off when it has given a machine its script: kernel,
// image and root image come from the next server, which has the same files.
func TestServerDies(t *testing.T) {
	k := vmtest.RunKernel(t)
	l, program := newLab(t, 0), vmtest.Rambox(t)
	image, root := build(t, k, "--with", "http-root"), squashRoot(t, say)
	// There will be no DHCP server, either.
	const line = "ip=${ip}::10.9.0.1:255.255.0.0:${hostname}:eth0:none"
	first := l.startServe(program, "--state", t.TempDir(), "--config", nodeConfig(t, k, image, line, fmt.Sprintf("servers = [\"http://10.9.0.3:8080\"]\nroot = %q", root)))
	files := fmt.Sprintf("listen = \"10.9.0.3\"\nmode = \"proxy\"\nunknown = \"deny\"\nkernel = %q\nimage = %q\nroot = %q\n", k.Path, image, root)
	second := startServe(t, l.other, program, "--state", t.TempDir(), "--config", l.write("serve.toml", files))
	l.server.Tap("tap0", "s0")
	m := powerOn(t, l.server, biosCard("256M")...)
	first.until(`file="ipxe/`)
	first.kill()
	second.until("root.squashfs status=200")
	m.until(said("n1", "10.9.0.77"))
}

// TestProxyBoots boots a machine beside dnsmasq on the same host. Its program fails.
func TestProxyBoots(t *testing.T) {
	k := vmtest.RunKernel(t)
	l, program, state := newLab(t, 0), vmtest.Rambox(t), t.TempDir()
	l.dnsmasq(l.server, "s0", "--dhcp-range=10.9.3.7,10.9.3.7,255.255.0.0,1h", "--dhcp-authoritative")
	image := build(t, k, "--payload", script(t, say+"exit 3"))
	s := l.startServe(program, "--proxy", "--kernel", k.Path, "--image", image, "--append", "quiet console=ttyS0 "+saidWord, "--interface", "s0", "--state", state)
	l.server.Tap("tap0", "s0")
	powerOn(t, l.server, biosCard("128M")...).until(said("rambox", "10.9.3.7"))
	s.until("machine: ended")
	wantStatus(t, program, state, `^crashed +\d+s +rambox +10\.9\.3\.7 .* exit 3$`)
}

// TestElsewhere boots a machine of another network, whose DHCP server knows no more
// than the URL of the script for everybody.
func TestElsewhere(t *testing.T) {
	k := vmtest.RunKernel(t)
	l, program, state := newLab(t, 0), vmtest.Rambox(t), t.TempDir()
	l.other.Bridge("b0", "10.8.0.1/24")
	forward := l.other.Words("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	vmtest.Command(t, forward[0], forward[1:]...)
	l.server.IP("route", "add", "10.8.0.0/24", "via", "10.9.0.3")
	l.dnsmasq(l.other, "b0", "--dhcp-range=10.8.0.7,10.8.0.7,255.255.255.0,1h", "--dhcp-option=3,10.8.0.1", "--dhcp-boot=http://10.9.0.1:8080/boot.ipxe")
	image := build(t, k, "--payload", script(t, say))
	s := l.startServe(program, "--proxy", "--kernel", k.Path, "--image", image, "--append", "quiet console=ttyS0 "+saidWord, "--interface", "s0", "--state", state)
	l.other.Tap("tap0", "b0")
	powerOn(t, l.other, biosCard("128M")...).until(said("rambox", "10.8.0.7"))
	s.until("machine: ended")
	wantStatus(t, program, state, `^booted +\d+s +rambox +10\.8\.0\.7 .* exit 0$`)
}
