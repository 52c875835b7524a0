//go:build linux

package netboot_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// say prints the word of the command line that says who the machine is.
const say = `for w in $(cat /proc/cmdline); do case $w in said=*) echo "payload of $(hostname): $w";; esac; done
`

// saidWord is that word, and said what say makes of it.
const saidWord = "said=${mac}/${uuid}/${ip}"

func said(hostname, ip string) string {
	return fmt.Sprintf("payload of %s: said=%s/%s/%s", hostname, nodeMAC, nodeUUID, ip)
}

// biosCard is a machine with BIOS that boots from its card's ROM, which is iPXE.
func biosCard(memory string) []string {
	return []string{"-m", memory, "-device", "virtio-net-pci,netdev=n0,mac=" + nodeMAC, "-boot", "n"}
}

// efiCard is one with UEFI, whose own driver has the card.
func efiCard(more ...string) []string {
	const code, vars = "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"
	return append([]string{
		"-m", "512M", "-machine", "q35", "-drive", "if=pflash,format=raw,readonly=on,file=" + code, "-drive", "if=pflash,format=raw,snapshot=on,file=" + vars,
		"-device", "virtio-rng-pci", "-device", "virtio-net-pci,netdev=n0,romfile=,mac=" + nodeMAC,
	}, more...)
}

// nodeConfig is a configuration with one node, whose kernel, image and command line
// are those of its arguments.
func nodeConfig(t testing.TB, k kernels.Kernel, image, line, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "serve.toml")
	vmtest.WriteFile(t, filepath.Dir(path), "serve.toml", 0o644, fmt.Sprintf(`listen = "10.9.0.1"
kernel = %q
image = "none"
append = "wrong"
%s
[[subnet]]
network = "10.9.0.0/16"
pool = "10.9.1.100-10.9.1.199"
[[node]]
mac = %q
hostname = "n1"
address = "10.9.0.77"
image = %q
append = "quiet console=ttyS0 panic=-1 %s %s"
`, k.Path, more, nodeMAC, image, saidWord, line))
	vmtest.WriteFile(t, filepath.Dir(path), "none", 0o644, "")
	return path
}

// TestFirmware powers machines on that have nothing but firmware, beside rambox
// serve with a configuration, and waits for what their payload says.
func TestFirmware(t *testing.T) {
	program, dir := vmtest.Rambox(t), t.TempDir()
	vmtest.WriteFile(t, dir, "chain", 0o644, "#!ipxe\ndhcp && set 210:string tftp://10.9.0.1/ && chain tftp://10.9.0.1/pxelinux.0\n")
	pxelinux := []string{"-m", "128M", "-device", "virtio-net-pci,netdev=n0,romfile=,mac=" + nodeMAC, "-kernel", "/usr/lib/ipxe/ipxe.lkrn", "-initrd", filepath.Join(dir, "chain")}
	for _, tc := range []struct {
		name    string
		machine []string
		kernel  func(testing.TB) kernels.Kernel // ours has no stub for UEFI
		config  string
	}{
		{"PXELINUX", pxelinux, vmtest.RunKernel, "program.bios = \"pxelinux\""},
		{"UEFI by PXE, and iPXE after it", efiCard(), vmtest.CloudKernel, ""},
		// Without PXE, of IPv4 or IPv6, boot by HTTP is what is left.
		{"UEFI by HTTP, and iPXE after it", efiCard("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"), vmtest.CloudKernel, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, k, state := newLab(t, 0), tc.kernel(t), t.TempDir()
			image := build(t, k, "--payload", script(t, say))
			s := l.startServe(program, "--config", nodeConfig(t, k, image, "", tc.config), "--state", state)
			l.server.Tap("tap0", "s0")
			powerOn(t, l.server, tc.machine...).until(said("n1", "10.9.0.77"))
			s.until("machine: running")
			s.until("machine: ended")
			wantStatus(t, program, state, `^booted .* n1 +10\.9\.0\.77 .* exit 0$`)
		})
	}
}
