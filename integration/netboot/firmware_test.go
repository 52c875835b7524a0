//go:build linux

package netboot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/netboot"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// bootLimit is how long a machine may take from power-on to its end: some times
// what it takes without KVM.
const bootLimit = 4 * time.Minute

const (
	nodeMAC  = "52:54:00:12:34:56"
	nodeUUID = "01234567-89ab-cdef-0123-456789abcdef"
)

// bootServer is the argument of testdata/bootserver.
type bootServer struct {
	DHCP      netboot.DHCPConfig
	Nodes     map[string]netboot.Node
	Interface string
	Address   netip.Addr
	HTTPPort  uint16
	Servers   []string
	Programs  []netboot.Program
}

// serveBoot starts a whole boot server on s0.
func (l *lab) serveBoot(t *testing.T, b bootServer) {
	t.Helper()
	b.Interface, b.Address, b.HTTPPort = "s0", netip.MustParseAddr("10.9.0.1"), 8080
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	startServer(t, []string{"ip", "netns", "exec", l.server}, "bootserver", string(text))
}

// powerOn starts a machine whose card is a tap device on the switch, and returns
// its console when it has switched itself off.
func (l *lab) powerOn(t *testing.T, args ...string) string {
	t.Helper()
	l.ip("-n", l.server, "tuntap", "add", "tap0", "mode", "tap")
	l.ip("-n", l.server, "link", "set", "tap0", "master", "s0", "up")
	argv := append([]string{
		"ip", "netns", "exec", l.server, "qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-accel", "tcg", "-m", "512M",
		"-serial", "stdio", "-uuid", nodeUUID, "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
	}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	var console bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\nto reproduce: %s", err, qemu.ShellWords(argv...))
	}
	return console.String()
}

// image builds an image for Debian's cloud kernel by "rambox build".
func image(t *testing.T, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	vmtest.Command(t, vmtest.Rambox(t), append([]string{"build", "-q", "-o", out, "--kernel", vmtest.CloudKernel(t).Path}, args...)...)
	return out
}

// script writes an executable shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	vmtest.WriteFile(t, dir, "payload", 0o755, "#!/bin/sh\n"+text)
	return filepath.Join(dir, "payload")
}

// squashRoot makes a root image whose init says that it runs.
func squashRoot(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	vmtest.AddBusybox(t, dir)
	vmtest.WriteFile(t, dir, "sbin/init", 0o755, "#!/bin/sh\n"+text+"\nexec /bin/busybox poweroff -f\n")
	out := filepath.Join(t.TempDir(), "root.squashfs")
	vmtest.Command(t, "mksquashfs", dir, out, "-quiet", "-no-progress", "-all-root")
	return out
}

const say = `set -- $(cat /proc/cmdline); for w; do case $w in said=*) echo "payload of $(hostname): $w";; esac; done`

// TestFirmware powers machines on that have nothing but firmware, and waits for
// what their payload says.
func TestFirmware(t *testing.T) {
	const efiCode, efiVars = "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"
	if _, err := os.Stat(efiCode); err != nil {
		t.Fatalf("%v (Debian: ovmf)", err)
	}
	kernel := vmtest.CloudKernel(t).Path
	small := image(t, "--payload", script(t, say))
	first := image(t, "--with", "http-root", "--modules", "qemu,loop,squashfs")
	root := squashRoot(t, "mount -t proc proc /proc; hostname n1; "+say)
	pxelinux, err := netboot.FindPXELinux("/", netboot.ArchBIOS)
	if err != nil {
		t.Fatal(err)
	}
	ipxe, err := netboot.FindProgram("/", netboot.ArchEFI64, "")
	if err != nil {
		t.Fatal(err)
	}
	bios := []string{"-device", "virtio-net-pci,netdev=n0,mac=" + nodeMAC, "-boot", "n"}
	efi := []string{"-machine", "q35", "-drive", "if=pflash,format=raw,readonly=on,file=" + efiCode, "-drive", "if=pflash,format=raw,snapshot=on,file=" + efiVars,
		"-device", "virtio-rng-pci", "-device", "virtio-net-pci,netdev=n0,romfile=,mac=" + nodeMAC}
	// Without PXE, of IPv4 or IPv6, boot by HTTP is what is left.
	efiHTTP := append(efi[:len(efi):len(efi)], "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
	const scriptURL = "http://${server}:8080/" + netboot.IPXEScriptName
	const ours, dead = "http://10.9.0.1:8080", "http://10.9.0.1:9"
	want := fmt.Sprintf("payload of n1: said=%s/%s/10.9.0.77", nodeMAC, nodeUUID)
	for _, tc := range []struct {
		name     string
		machine  []string
		boot     netboot.BootConfig
		programs []netboot.Program
		servers  []string
		node     netboot.Node
	}{
		{"iPXE in the card's ROM", bios, netboot.BootConfig{Script: scriptURL}, nil, []string{ours}, netboot.Node{Image: small}},
		{"the first server is dead", bios, netboot.BootConfig{Script: scriptURL}, nil, []string{dead, ours}, netboot.Node{Image: small}},
		{"a script for everybody", bios, netboot.BootConfig{Script: "http://${server}:8080/" + netboot.IPXEChainName}, nil, []string{ours}, netboot.Node{Image: small}},
		{"a small first stage, and its root by HTTP", bios, netboot.BootConfig{Script: scriptURL}, nil, []string{dead, ours}, netboot.Node{Image: first, Root: root}},
		{"PXELINUX", bios, netboot.BootConfig{ScriptTFTP: pxelinux[0].Name}, pxelinux, []string{ours}, netboot.Node{Image: small}},
		{"UEFI by PXE, and iPXE after it", efi, netboot.BootConfig{Programs: map[netboot.Arch]string{netboot.ArchEFIBC: ipxe.Name}, Script: scriptURL}, []netboot.Program{ipxe}, []string{ours}, netboot.Node{Image: small}},
		{"UEFI by HTTP, and iPXE after it", efiHTTP, netboot.BootConfig{HTTPPrograms: map[netboot.Arch]string{netboot.ArchHTTP64: "http://${server}:8080/" + ipxe.Name}, Script: scriptURL}, []netboot.Program{ipxe}, []string{ours}, netboot.Node{Image: small}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, 0)
			l.t = t
			n := tc.node
			n.Hostname, n.Address, n.Kernel = "n1", netip.MustParseAddr("10.9.0.77"), kernel
			n.Append = "console=ttyS0 panic=-1 hostname=${hostname} said=${mac}/${uuid}/${ip}"
			c := config(100)
			c.Boot = tc.boot
			l.serveBoot(t, bootServer{DHCP: c, Nodes: map[string]netboot.Node{nodeMAC: n}, Servers: tc.servers, Programs: tc.programs})
			console := l.powerOn(t, tc.machine...)
			if !strings.Contains(console, want) {
				t.Errorf("the console lacks %q:\n%s", want, console)
			}
		})
	}
}
