package bootmedia

import (
	"bytes"
	"debug/pe"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFindErrors(t *testing.T) {
	alien := fstest.MapFS{"usr/share/syslinux/isolinux.bin": {}, "usr/share/syslinux/isohdpfx.bin": {}}
	for _, tc := range []struct {
		name string
		find func() error
		want string
	}{
		{"stub", func() error { _, err := Stub(runtime.GOARCH).Find(fstest.MapFS{}); return err }, ".efi.stub in /usr/lib/systemd/boot/efi; install it (Debian: apt-get install systemd-boot-efi)"},
		{"stub of another machine", func() error { _, err := Stub("riscv64", "/cache/efi").Find(fstest.MapFS{}); return err }, "no linuxriscv64.efi.stub in /usr/lib/systemd/boot/efi, /cache/efi"},
		{"systemd-boot", func() error { _, err := FindSystemdBoot(fstest.MapFS{}, "amd64"); return err }, "no systemd-bootx64.efi in"},
		{"isolinux", func() error { _, err := FindISOLINUX(fstest.MapFS{}); return err }, "apt-get install isolinux)"},
		{"a part of syslinux, where others have it", func() error { _, err := FindISOLINUX(alien); return err }, "no ldlinux.c32 in"},
	} {
		if err := tc.find(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestCheckKernel(t *testing.T) {
	bzImage := make([]byte, 0x1000)
	copy(bzImage[0x202:], "HdrS")
	withStub := bytes.Clone(bzImage)
	copy(withStub, "MZ")
	withStub[60] = 0x40
	copy(withStub[0x40:], "PE\x00\x00\x64\x86")
	lost := bytes.Clone(withStub)
	lost[63] = 0xff
	for _, tc := range []struct {
		name       string
		kernel     []byte
		bios, uefi string // what the errors say; "" is none
	}{
		{"without a stub", bzImage, "", "no EFI stub (CONFIG_EFI_STUB)"},
		{"with a stub", withStub, "", ""},
		{"a stub beyond the end", lost, "", "no EFI stub"},
		{"vmlinux", append([]byte("\x7fELF"), make([]byte, 0x400)...), "take a bzImage", "no EFI stub"},
		{"empty", nil, "take a bzImage", "no EFI stub"},
		{"Image.gz", append([]byte("\x1f\x8b"), make([]byte, 0x400)...), "take a bzImage", "gunzip"},
	} {
		for firmware, got := range map[string]struct {
			err  error
			want string
		}{
			"BIOS": {CheckISOLINUX(bytes.NewReader(tc.kernel)), tc.bios},
			"UEFI": {CheckEFIStub(bytes.NewReader(tc.kernel), "amd64"), tc.uefi},
		} {
			if (got.err == nil) != (got.want == "") || got.err != nil && !strings.Contains(got.err.Error(), got.want) {
				t.Errorf("%s by %s: %v, want %q", tc.name, firmware, got.err, got.want)
			}
		}
	}
	if err := CheckEFIStub(bytes.NewReader(withStub), "arm64"); err == nil || !strings.Contains(err.Error(), "0x8664") {
		t.Errorf("a stub for another machine: %v", err)
	}
}

// TestSystemdBoot is that of the host: a program for UEFI.
func TestSystemdBoot(t *testing.T) {
	s, err := FindSystemdBoot(os.DirFS("/"), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pe.NewFile(bytes.NewReader(s.Program)); err != nil {
		t.Error(err)
	}
}

// TestStubElsewhere finds a stub in a directory that the caller names.
func TestStubElsewhere(t *testing.T) {
	root := fstest.MapFS{"cache/efi/linuxaa64.efi.stub": {Data: []byte("stub")}}
	if b, err := Stub("arm64", "/cache/efi").Find(root); err != nil || string(b) != "stub" {
		t.Errorf("Find = %q, %v", b, err)
	}
}
