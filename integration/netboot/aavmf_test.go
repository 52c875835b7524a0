//go:build linux

package netboot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

// arm64Kernel is Debian's cloud kernel for arm64. With it come a busybox and the
// program by which UEFI starts it.
func arm64Kernel(t testing.TB) kernels.Kernel {
	t.Helper()
	vmtest.Command(t, vmtest.Rambox(t), "kernel", "fetch", "--if-missing", "--arch", "arm64")
	k, err := kernels.FindFor("cloud", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestAAVMF powers arm64 machines on that have nothing but firmware, for which
// Debian has no iPXE: they load a unified kernel image.
func TestAAVMF(t *testing.T) {
	const code, vars = "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"
	if _, err := os.Stat(code); err != nil {
		t.Fatalf("%v (Debian: qemu-efi-aarch64)", err)
	}
	program, k := vmtest.Rambox(t), arm64Kernel(t)
	config := fmt.Sprintf(`listen = "10.9.0.1"
kernel = %q
image = %q
append = "quiet console=ttyAMA0 panic=-1 hostname=${hostname} said=${mac}/${uuid}"
[program]
arm64 = "uki"
[[node]]
mac = %q
hostname = "n1"
`, k.Path, build(t, k, "--payload", script(t, say)), nodeMAC)
	machine := []string{
		"qemu-system-aarch64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg", "-serial", "stdio",
		"-machine", "virt", "-cpu", "cortex-a57", "-m", "512M", "-uuid", nodeUUID,
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code, "-drive", "if=pflash,format=raw,snapshot=on,file=" + vars, "-device", "virtio-rng-pci",
		"-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=n0,romfile=,mac=" + nodeMAC,
	}
	for _, tc := range []struct {
		name  string
		proxy bool // beside dnsmasq
		more  []string
	}{
		// Without PXE, of IPv4 or IPv6, boot by HTTP is what is left.
		{"by HTTP", false, []string{"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"}},
		{"by PXE, beside dnsmasq", true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, 0)
			text := config + "[[subnet]]\nnetwork = \"10.9.0.0/16\"\npool = \"10.9.1.7-10.9.1.9\"\n"
			if tc.proxy {
				text = "mode = \"proxy\"\n" + config
				l.dnsmasq(l.other, "o0", "--dhcp-range=10.9.3.7,10.9.3.7,255.255.0.0,1h", "--dhcp-authoritative")
			}
			s := l.startServe(program, "--config", l.write("serve.toml", text), "--state", filepath.Join(t.TempDir(), "state"))
			l.server.Tap("tap0", "s0")
			m := talk(t, bootLimit, nil, l.server.Words(slices.Concat(machine, tc.more)...)...)
			m.until(fmt.Sprintf("payload of n1: said=%s/%s", nodeMAC, nodeUUID))
			s.until("machine: running")
		})
	}
}
