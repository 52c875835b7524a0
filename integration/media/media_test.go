//go:build linux

// Package media boots what rambox iso and rambox uki make, by real firmware.
package media

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// firmwareLimit is longer than that of a kernel that QEMU loads itself: firmware
// reads it sector by sector, and looks at everything else first.
const firmwareLimit = 5 * time.Minute

// ovmf is Debian's firmware for UEFI; what it stores is forgotten.
var ovmf = []string{"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"}

// prompt is what both shells show.
const prompt = "root@rambox:~# "

// device gives a medium to the machine.
func device(image string, of ...string) []string {
	return append([]string{"-drive", "if=none,id=medium,format=raw,readonly=on,file=" + image}, of...)
}

// build runs one of rambox's commands that write a file.
func build(t *testing.T, command, name string, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	vmtest.Command(t, vmtest.Rambox(t), append([]string{command, "-q", "-o", out}, args...)...)
	return out
}

// TestISO boots an image with Debian's kernel.
func TestISO(t *testing.T) {
	testISO(t, build(t, "iso", "rambox.iso", "--kernel", vmtest.CloudKernel(t).Path))
}

// testISO boots one image from a drive and from a stick, by both kinds of
// firmware. Either shell works, that of the serial port and that of the screen.
func testISO(t *testing.T, iso string) {
	t.Helper()
	cd := device(iso, "-device", "ide-cd,drive=medium")
	usb := device(iso, "-device", "qemu-xhci", "-device", "usb-storage,drive=medium")
	for _, tc := range []struct {
		name   string
		args   []string
		choose func(*vmtest.Guest) // in the boot loader; nil is nothing
	}{
		{"CD by BIOS", cd, func(g *vmtest.Guest) { typed(g, "rambox ip=dhcp") }},
		{"USB by BIOS", usb, func(g *vmtest.Guest) { typed(g, "dhcp") }},
		{"CD by UEFI", slices.Concat(ovmf, cd), func(g *vmtest.Guest) {
			g.Expect("Rambox with a network")
			g.Send("\x1b[B") // down
			g.Send("\r")
		}},
		{"USB by UEFI", slices.Concat(ovmf, usb), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			monitor := vmtest.NewMonitor(t)
			args := slices.Concat(tc.args, monitor.Args(), network, []string{"-vga", "std"})
			g := vmtest.Start(t, vmtest.VM{Extra: args, Memory: 512 << 20, Limit: firmwareLimit})
			if tc.choose != nil {
				tc.choose(g)
			}
			checkShell(t, g, tc.choose != nil)
			checkScreen(t, g, monitor)
			for _, key := range strings.Split("p o w e r o f f ret", " ") {
				monitor.Do("send-key", map[string]any{"keys": []any{map[string]any{"type": "qcode", "data": key}}})
			}
			g.Expect("reboot: Power down")
			g.End()
		})
	}
}

// network is a card behind which a DHCP server gives 10.0.2.15.
var network = []string{"-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="}

// typed answers ISOLINUX.
func typed(g *vmtest.Guest, line string) {
	g.Expect("boot:")
	g.Send(line + "\r")
}

// checkShell uses the shell on the serial port; online says whether DHCP was
// asked for.
func checkShell(t *testing.T, g *vmtest.Guest, online bool) {
	t.Helper()
	g.Expect(prompt)
	g.Send("ip -4 address show eth0; echo sho''wn; tty\n")
	has := strings.Contains(g.Expect("shown"), "inet 10.0.2.15/24")
	if has != online {
		t.Errorf("eth0 has an address from DHCP: %v, want %v:\n%s", has, online, g.Shown())
	}
	g.Expect("/dev/ttyS0")
}

// checkScreen finds a shell on the screen, and sees the screen change.
func checkScreen(t *testing.T, g *vmtest.Guest, monitor *vmtest.Monitor) {
	t.Helper()
	shot := func() []byte {
		name := filepath.Join(t.TempDir(), "screen.ppm")
		monitor.Do("screendump", map[string]any{"filename": name})
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// The shell there may not have come so far yet.
	g.Send("until grep -q 'root@rambox:~#' /dev/vcs1; do sleep 1; done; echo its she''ll\n")
	g.Expect("its shell")
	before := shot()
	g.Send("for i in 1 2 3 4 5 6 7 8 9; do echo HELLO; done >/dev/tty1; echo wri''tten\n")
	g.Expect("written")
	if bytes.Equal(before, shot()) {
		t.Error("the screen does not show what is written to tty1")
	}
}

// TestUKI boots a unified kernel image from a disk that has nothing else.
func TestUKI(t *testing.T) {
	uki := build(t, "uki", "rambox.efi", "--kernel", vmtest.CloudKernel(t).Path, "--append", "ip=dhcp")
	disk := filepath.Join(t.TempDir(), "disk.img")
	vmtest.Command(t, "mkfs.vfat", "-F", "32", "-C", disk, "65536")
	vmtest.Command(t, "mmd", "-i", disk, "::EFI", "::EFI/BOOT")
	vmtest.Command(t, "mcopy", "-i", disk, uki, "::EFI/BOOT/BOOTX64.EFI")
	g := vmtest.Start(t, vmtest.VM{
		Extra:  slices.Concat(ovmf, device(disk, "-device", "virtio-blk-pci,drive=medium"), network, []string{"-vga", "std"}),
		Memory: 512 << 20, Limit: firmwareLimit,
	})
	checkShell(t, g, true)
	g.Send("poweroff\n")
	g.Expect("reboot: Power down")
	g.End()
}

// TestPayload boots a medium that is there for one program.
func TestPayload(t *testing.T) {
	dir := t.TempDir()
	vmtest.WriteFile(t, dir, "app", 0o755, "#!/bin/sh\necho the payload has \"$@\"\n")
	iso := build(t, "iso", "app.iso", "--kernel", vmtest.CloudKernel(t).Path, "--boot", "bios",
		"--payload", filepath.Join(dir, "app"), "--append", "rambox.net=off", "--", "two words")
	out := vmtest.Boot(t, vmtest.VM{Extra: device(iso, "-device", "ide-cd,drive=medium"), Limit: firmwareLimit})
	vmtest.Contains(t, out, "the payload has two words", "reboot: Power down")
}

// TestReproducible builds everything twice, in two places.
func TestReproducible(t *testing.T) {
	kernel := vmtest.CloudKernel(t).Path
	for _, command := range []string{"iso", "uki"} {
		t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
		var images [][]byte
		for range 2 {
			b, err := os.ReadFile(build(t, command, "image", "--kernel", kernel, "--cmdline", "quiet"))
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, b)
		}
		if !bytes.Equal(images[0], images[1]) {
			t.Errorf("rambox %s gives different bytes for the same inputs", command)
		}
	}
}

// TestKernelWithoutStub is refused by name: our kernel for virtual machines has
// none.
func TestKernelWithoutStub(t *testing.T) {
	k := vmtest.RunKernel(t)
	for _, tc := range []struct{ command, hint string }{
		{"iso", "use --boot bios, or a kernel that has it: rambox kernel build --profile iso"},
		{"uki", "one that has it: rambox kernel build --profile iso"},
	} {
		out := vmtest.Command(t, "sh", "-c", `! "$@" 2>&1`, "sh", vmtest.Rambox(t), tc.command, "-o", filepath.Join(t.TempDir(), "x"), "--kernel", k.Path)
		if !strings.Contains(out, "it has no EFI stub (CONFIG_EFI_STUB)") || !strings.Contains(out, tc.hint) {
			t.Errorf("rambox %s says:\n%s", tc.command, out)
		}
	}
	// By BIOS alone it boots.
	iso := build(t, "iso", "run.iso", "--kernel", k.Path, "--boot", "bios")
	g := vmtest.Start(t, vmtest.VM{Extra: device(iso, "-device", "ide-cd,drive=medium"), Limit: firmwareLimit})
	g.Expect(prompt)
	g.Send("poweroff\n")
	g.End()
}
