package bootmedia

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func testDisc(t *testing.T, kernel, initrd []byte, bios, efi bool) *Disc {
	t.Helper()
	d := &Disc{
		Label: "RAMBOX", Time: when, Kernel: section(kernel), Initrd: section(initrd),
		Menu: []Choice{{"rambox", "Rambox", "quiet ip=off"}, {"dhcp", "Rambox with a network", "quiet ip=dhcp"}},
	}
	var err error
	if bios {
		if d.BIOS, err = FindISOLINUX(hostRoot); err != nil {
			t.Fatal(err)
		}
	}
	if efi {
		if d.EFI, err = FindSystemdBoot(hostRoot, "amd64"); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestDisc has xorriso, isoinfo and mtools read discs.
func TestDisc(t *testing.T) {
	kernel, initrd := noise(1, 70001), noise(2, 123457)
	const (
		biosImage = "El Torito boot img : 1 BIOS y none 0x0000 0x00 4"
		options   = "El Torito img opts : 1 boot-info-table isohybrid-suitable"
	)
	for _, tc := range []struct {
		name      string
		bios, efi bool
		want      []string
	}{
		{"both", true, true, []string{biosImage, options, "El Torito boot img : 2 UEFI y none", "MBR isohybrid", "0xef"}},
		{"BIOS alone", true, false, []string{biosImage, options, "MBR isohybrid"}},
		{"UEFI alone", false, true, []string{"El Torito boot img : 1 UEFI y none", "0xef"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testDisc(t, kernel, initrd, tc.bios, tc.efi)
			b := render(t, func(b *bytes.Buffer) (int64, error) { return d.Write(b) })
			if again := render(t, func(b *bytes.Buffer) (int64, error) { return d.Write(b) }); !bytes.Equal(b, again) {
				t.Error("the same disc has other bytes")
			}
			if tc.efi && bytes.Count(b, kernel) != 1 {
				t.Errorf("the kernel is on the disc %d times", bytes.Count(b, kernel))
			}
			name := write(t, b)
			report := host(t, "xorriso", "-indev", name, "-report_el_torito", "plain", "-report_system_area", "plain")
			hasLines(t, report, append(tc.want, "Volume id : 'RAMBOX'")...)
			if strings.Contains(report, "FAILURE") || strings.Contains(report, "SORRY") {
				t.Errorf("xorriso complains:\n%s", report)
			}
			checkISOFile(t, name, "/BOOT/VMLINUZ.;1", kernel)
			checkISOFile(t, name, "/BOOT/INITRD.IMG;1", initrd)
			if tc.efi {
				checkESP(t, b, map[string][]byte{"boot/vmlinuz": kernel, "boot/initrd.img": initrd, "EFI/BOOT/BOOTX64.EFI": d.EFI.Program})
			}
		})
	}
}

func checkISOFile(t *testing.T, image, name string, want []byte) {
	t.Helper()
	if got := host(t, "isoinfo", "-i", image, "-x", name); got != string(want) {
		t.Errorf("%s has %d bytes, want %d, or others", name, len(got), len(want))
	}
}

// checkESP reads the system partition that the MBR names.
func checkESP(t *testing.T, disc []byte, want map[string][]byte) {
	t.Helper()
	start, size := mbrPartition(disc, 1)
	if start+size != int64(len(disc)) {
		t.Errorf("the system partition ends at %d, the disc at %d", start+size, len(disc))
	}
	if _, end := mbrPartition(disc, 0); end != start {
		t.Errorf("the partitions overlap or leave room: %d, %d", end, start)
	}
	checkFAT(t, write(t, disc[start:]), want)
}

func mbrPartition(disc []byte, i int) (start, size int64) {
	p := disc[446+16*i:]
	le := func(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 | int64(b[3])<<24 }
	return le(p[8:]) * 512, le(p[12:]) * 512
}

// checkFAT checks a file system and its files.
func checkFAT(t *testing.T, image string, want map[string][]byte) {
	t.Helper()
	host(t, "fsck.vfat", "-n", image)
	for name, content := range want {
		out := filepath.Join(t.TempDir(), "file")
		host(t, "mcopy", "-i", image, "::"+name, out)
		if b, err := os.ReadFile(out); err != nil || !bytes.Equal(b, content) {
			t.Errorf("%s: %d bytes, want %d, or others (%v)", name, len(b), len(content), err)
		}
	}
}

// TestFATSizes goes around the sizes at which the file system changes.
func TestFATSizes(t *testing.T) {
	for _, size := range []int{
		0, 1, 2048, 2049,
		4080 * 2048, 4081 * 2048, 4082 * 2048, 4083 * 2048, 4084 * 2048, 4085 * 2048, // FAT12 to FAT16
		65520 * 2048, 65523 * 2048, 65524 * 2048, // and to larger clusters
	} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			content := map[string][]byte{"EFI/BOOT/BOOTX64.EFI": noise(3, 100), "loader/a name that is not short.conf": noise(4, 5000), "large": noise(5, size)}
			var files []File
			for _, name := range []string{"EFI/BOOT/BOOTX64.EFI", "loader/a name that is not short.conf", "large"} {
				files = append(files, Bytes(name, content[name]))
			}
			v, err := layoutFAT(files, 0x12345678, "RAMBOX", when)
			if err != nil {
				t.Fatal(err)
			}
			b := render(t, func(b *bytes.Buffer) (int64, error) { return v.size, writeExtents(b, v.extents, v.size) })
			for name, at := range v.at {
				if at%sector != 0 {
					t.Errorf("%s is at %d, which is no sector of a CD", name, at)
				}
			}
			checkFAT(t, write(t, b), content)
		})
	}
}

func TestDiscErrors(t *testing.T) {
	small := []byte("x")
	for _, tc := range []struct {
		name   string
		change func(*Disc)
		want   string
	}{
		{"no firmware", func(d *Disc) { d.BIOS, d.EFI = nil, nil }, "neither BIOS nor UEFI"},
		{"a line break", func(d *Disc) { d.Menu[0].Cmdline = "a\nb" }, "without control characters"},
		{"long", func(d *Disc) { d.Menu[1].Cmdline = strings.Repeat("x", 2000) }, "--cmdline"},
		{"another isolinux.bin", func(d *Disc) { d.BIOS.Bin = make([]byte, 40000) }, "isolinux.bin is no ISOLINUX"},
		{"an MBR that is none", func(d *Disc) { d.BIOS.MBR = make([]byte, 512) }, "room for 432"},
		{"too large", func(d *Disc) { d.Initrd = hole(3 << 30) }, "more than 2 GiB"},
		{"too large for BIOS", func(d *Disc) { d.EFI, d.Initrd = nil, hole(5<<30) }, "more than 2 GiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testDisc(t, small, small, true, true)
			tc.change(d)
			if _, err := d.Write(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Write: %v, want %q", err, tc.want)
			}
		})
	}
}
