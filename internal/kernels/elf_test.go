package kernels

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vmlinux makes a program that says what a kernel says of itself.
func vmlinux(t *testing.T, release string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "vmlinux")
	cmd := exec.Command("gcc", append([]string{"-x", "c", "-", "-static", "-nostdlib", "-o", file}, flags...)...)
	cmd.Stdin = strings.NewReader(`const char linux_banner[] = "Linux version ` + release + ` (a@b)"; char data[3 << 20]; void _start(void) {}`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return file
}

func TestSymbols(t *testing.T) {
	with, without, other := vmlinux(t, "6.1.0-x"), vmlinux(t, "6.1.0-x", "-s"), vmlinux(t, "6.1.0-y")
	for _, tc := range []struct{ name, file, place, image string }{
		{"the image itself", with, "boot/vmlinux-6.1.0-x", "boot/vmlinux-6.1.0-x"},
		{"of our build", with, "debug/vmlinux-6.1.0-x", "boot/vmlinuz-6.1.0-x"},
		{"beside the image", with, "boot/vmlinux-6.1.0-x", "boot/vmlinuz-6.1.0-x"},
		{"at the top of the build's tree", with, "vmlinux", "arch/x86/boot/bzImage"},
		{"stripped", without, "debug/vmlinux-6.1.0-x", ""},
		{"of another kernel", other, "debug/vmlinux-6.1.0-x", ""},
	} {
		dir := t.TempDir()
		content, err := os.ReadFile(tc.file)
		if err != nil {
			t.Fatal(err)
		}
		place := write(t, content, dir, tc.place)
		image := filepath.Join(dir, tc.image)
		if tc.image == "" {
			image = filepath.Join(dir, "boot/vmlinuz")
		}
		got, ok := Kernel{Release: "6.1.0-x", Path: image}.Symbols()
		if want := tc.image != ""; ok != want || want && got != place {
			t.Errorf("%s: %q, %v, want %q, %v", tc.name, got, ok, place, want)
		}
	}
}

func TestMemory(t *testing.T) {
	image := func(magicAt int, magic string, sizeAt int, size uint64) []byte {
		b := make([]byte, 0x300)
		copy(b[magicAt:], magic)
		binary.LittleEndian.PutUint64(b[sizeAt:], size)
		return b
	}
	x86 := image(0x202, "HdrS\x0c\x02", 0x260, 51<<20)
	old := image(0x202, "HdrS\x09\x02", 0x260, 51<<20)
	elf, err := os.ReadFile(vmlinux(t, "6.1.0-x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		content  []byte
		min, max int64
	}{
		{"bzImage", x86, 51 << 20, 51 << 20},
		{"bzImage before init_size", old, 0, 0},
		{"arm64", image(0x38, "ARM\x64", 0x10, 30<<20), 30 << 20, 30 << 20},
		{"vmlinux", elf, 3 << 20, 4 << 20},
	} {
		got, err := Kernel{Path: write(t, tc.content, t.TempDir(), "kernel")}.Memory()
		if err != nil || got < tc.min || got > tc.max {
			t.Errorf("%s: %d, %v, want %d to %d", tc.name, got, err, tc.min, tc.max)
		}
	}
	if _, err := (Kernel{Path: write(t, []byte("short"), t.TempDir(), "kernel")}).Memory(); err == nil {
		t.Error("a file of 5 bytes has a size")
	}
}
