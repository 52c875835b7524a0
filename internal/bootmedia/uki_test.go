package bootmedia

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hole is a file of zeros that takes no room.
func hole(size int64) *io.SectionReader { return io.NewSectionReader(zerosAt{}, 0, size) }

type zerosAt struct{}

func (zerosAt) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func systemdStub(t testing.TB) []byte {
	t.Helper()
	b, err := Stub("amd64").Find(hostRoot)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testUKI(t testing.TB) *UKI {
	return &UKI{
		Arch: "amd64", Stub: systemdStub(t), Release: "6.1.0-1-test", Cmdline: "console=ttyS0 quiet",
		Kernel: section(noise(1, 70001)), Initrd: section(noise(2, 4097)),
	}
}

// sections are a program's, by name.
func sections(t testing.TB, program []byte) map[string][]byte {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	all, next := map[string][]byte{}, uint32(0)
	for _, s := range f.Sections {
		b, err := s.Data()
		if err != nil {
			t.Fatalf("section %s: %v", s.Name, err)
		}
		all[s.Name] = b[:min(uint32(len(b)), s.VirtualSize)]
		if s.VirtualAddress < next {
			t.Errorf("section %s is at %#x, inside of what ends at %#x", s.Name, s.VirtualAddress, next)
		}
		next = s.VirtualAddress + s.VirtualSize
	}
	if image := f.OptionalHeader.(*pe.OptionalHeader64).SizeOfImage; image < next {
		t.Errorf("the image ends at %#x, its last section at %#x", image, next)
	}
	return all
}

func TestUKI(t *testing.T) {
	u := testUKI(t)
	b := render(t, func(b *bytes.Buffer) (int64, error) { return u.Write(b) })
	got := sections(t, b)
	want := sections(t, u.Stub)
	want[".cmdline"], want[".uname"] = []byte(u.Cmdline), []byte(u.Release)
	want[".linux"], want[".initrd"] = noise(1, 70001), noise(2, 4097)
	want[".osrel"] = []byte("ID=rambox\nNAME=Rambox\nPRETTY_NAME=\"Rambox (6.1.0-1-test)\"\nVERSION_ID=6.1.0-1-test\n")
	for name, content := range want {
		if !bytes.Equal(got[name], content) {
			t.Errorf("section %s has %d bytes, want %d, or others", name, len(got[name]), len(content))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d sections, want %d", len(got), len(want))
	}
}

// TestChecksum compares ours with the linker's, which is in the stub.
func TestChecksum(t *testing.T) {
	b := systemdStub(t)
	at := binary.LittleEndian.Uint32(b[60:]) + 24 + optChecksum
	want := binary.LittleEndian.Uint32(b[at:])
	binary.LittleEndian.PutUint32(b[at:], 0)
	sum := &checksum{}
	sum.Write(b)
	if got := sum.of(int64(len(b))); got != want {
		t.Errorf("checksum %#x, the linker says %#x", got, want)
	}
}

// TestUKILikeObjcopy makes the same image as systemd-stub(7) once described it.
func TestUKILikeObjcopy(t *testing.T) {
	u := testUKI(t)
	ours := sections(t, render(t, func(b *bytes.Buffer) (int64, error) { return u.Write(b) }))
	args, address := []string{}, 0x20000
	for _, name := range []string{".osrel", ".cmdline", ".uname", ".initrd", ".linux"} {
		file := write(t, ours[name])
		args = append(args, "--add-section", name+"="+file, "--change-section-vma", name+fmt.Sprintf("=%#x", address))
		address += 0x100000
	}
	out := filepath.Join(t.TempDir(), "objcopy.efi")
	host(t, "objcopy", append(args, write(t, u.Stub), out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	theirs := sections(t, b)
	for name, content := range ours {
		// objcopy fills sections up to their alignment.
		if !bytes.Equal(bytes.TrimRight(theirs[name], "\x00"), bytes.TrimRight(content, "\x00")) {
			t.Errorf("section %s differs from objcopy's: %d and %d bytes", name, len(content), len(theirs[name]))
		}
	}
}

func TestUKIErrors(t *testing.T) {
	put := func(at int, b ...byte) func(*UKI) {
		return func(u *UKI) {
			copy(u.Stub[int(binary.LittleEndian.Uint32(u.Stub[60:]))+at:], b)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*UKI)
		want   string
	}{
		{"another architecture", func(u *UKI) { u.Arch = "arm64" }, "for the machine 0x8664, the kernel for 0xaa64"},
		{"no program", func(u *UKI) { u.Stub = []byte("#!/bin/sh\n") }, "no program for UEFI"},
		{"empty", func(u *UKI) { u.Stub = nil }, "no program for UEFI"},
		{"Windows", put(24+68, 3), "its subsystem is 3"},
		{"signed", put(24+112+4*8+4, 8), "signed"},
		{"alignment", put(24+36, 1, 2), "aligned to 513"},
		{"cut off", func(u *UKI) { u.Stub = u.Stub[:0x8000] }, "no program for UEFI"},
		{"a UKI", func(u *UKI) {
			var b bytes.Buffer
			if _, err := u.Write(&b); err != nil {
				t.Fatal(err)
			}
			u.Stub = b.Bytes()
		}, "has a kernel already"},
		{"no room", put(24+60, 0x88, 2), "has room for"}, // SizeOfHeaders
		{"large", func(u *UKI) { u.Initrd = hole(2 << 30) }, "section .initrd ends beyond 2 GiB"},
		{"a line break", func(u *UKI) { u.Cmdline = "a\nb" }, "control characters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := testUKI(t)
			tc.change(u)
			if _, err := u.Write(io.Discard); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Write: %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzUKI spoils the stub's header: what is accepted has to be a program with
// our sections.
func FuzzUKI(f *testing.F) {
	f.Add(uint16(0), []byte{})
	f.Add(uint16(60), []byte{0x80})
	f.Add(uint16(0x86), []byte{60})
	good := systemdStub(f)
	f.Fuzz(func(t *testing.T, at uint16, change []byte) {
		b := bytes.Clone(good)
		copy(b[int(at)%1024:], change)
		u := UKI{Arch: "amd64", Stub: b, Release: "6", Cmdline: "x", Kernel: section(noise(1, 3000)), Initrd: section(noise(2, 10))}
		var out bytes.Buffer
		if _, err := u.Write(&out); err != nil {
			return
		}
		p, err := pe.NewFile(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatalf("the image cannot be read: %v", err)
		}
		s := p.Section(".linux")
		if s == nil {
			t.Fatal("the image has no kernel")
		}
		if content, err := s.Data(); err != nil || !bytes.HasPrefix(content, noise(1, 3000)) {
			t.Errorf("the kernel has changed (%v)", err)
		}
	})
}
