package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// identity is what a kernel image says of itself. A zImage has no release that can be read.
type identity struct{ release, arch string }

// identify reads the header of a kernel image: a bzImage (Documentation/arch/x86/boot.rst), an arm64 or RISC-V Image
// (Documentation/arch/{arm64/booting,riscv/boot-image-header}.rst), a zImage (arch/arm/boot/compressed/head.S) or a vmlinux (ELF).
func identify(r io.ReaderAt) (identity, error) {
	head := make([]byte, 0x250)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return identity{}, err
	}
	head = head[:n]
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(0x202, "HdrS") && len(head) == cap(head):
		return identifyBzImage(r, head)
	case at(0, "\x7fELF"):
		return identifyELF(r)
	case at(0x38, "ARM\x64"):
		return scanBanner(r, "arm64")
	case at(0x38, "RSC\x05"):
		return scanBanner(r, "riscv64")
	case at(0x24, "\x18\x28\x6f\x01"):
		return identity{arch: "arm"}, nil
	case at(0, "\x1f\x8b"):
		return identity{}, errors.New("a compressed image: unpack it with gunzip first")
	case at(4, "zimg"):
		return identity{}, errors.New("an EFI zboot image, which QEMU cannot boot directly: use the Image or vmlinux in it")
	}
	return identity{}, errors.New("not a Linux kernel: neither bzImage, Image, zImage nor vmlinux")
}

// identifyBzImage follows kernel_version, which counts from 0x200 to a string whose first word is the release.
func identifyBzImage(r io.ReaderAt, head []byte) (identity, error) {
	id := identity{arch: "386"}
	if head[0x236]&1 != 0 { // XLF_KERNEL_64, protocol 2.12
		id.arch = "amd64"
	}
	text := make([]byte, 256)
	n, err := r.ReadAt(text, 0x200+int64(binary.LittleEndian.Uint16(head[0x20e:])))
	if err != nil && err != io.EOF {
		return identity{}, err
	}
	id.release = releaseOf(text[:n])
	if id.release == "" {
		return identity{}, errors.New("a bzImage without a version string")
	}
	return id, nil
}

func identifyELF(r io.ReaderAt) (identity, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return identity{}, fmt.Errorf("a damaged vmlinux: %w", err)
	}
	arches := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_AARCH64: "arm64", elf.EM_RISCV: "riscv64"}
	arch, ok := arches[f.Machine]
	if !ok {
		return identity{}, fmt.Errorf("a program for %v, which Rambox does not boot", f.Machine)
	}
	return scanBanner(r, arch)
}

// scanBanner looks for linux_banner (init/version.c), "Linux version 6.1.0 (…", in an image that is not compressed.
func scanBanner(r io.ReaderAt, arch string) (identity, error) {
	const piece, overlap = 1 << 20, 512
	banner := []byte("Linux version ")
	buf := make([]byte, piece)
	for offset := int64(0); ; offset += piece - overlap {
		n, err := r.ReadAt(buf, offset)
		for rest := buf[:n]; ; {
			i := bytes.Index(rest, banner)
			if i < 0 {
				break
			}
			rest = rest[i+len(banner):]
			if release := releaseOf(rest); release != "" {
				return identity{release: release, arch: arch}, nil
			}
		}
		if err == io.EOF {
			return identity{}, errors.New("no version string in it")
		}
		if err != nil {
			return identity{}, err
		}
	}
}

// releaseInName is the release of a kernel whose file has the usual name, vmlinuz-RELEASE.
func releaseInName(path string) (string, error) {
	_, release, _ := strings.Cut(filepath.Base(path), "-")
	if release = releaseOf([]byte(release + "\x00")); release == "" {
		return "", errors.New("a zImage does not say its release: name it vmlinuz-RELEASE")
	}
	return release, nil
}

// releaseOf is the word that text begins with if it is fit for a release, which names directories; else "".
func releaseOf(text []byte) string {
	end := 0
	for end < len(text) && text[end] > ' ' && text[end] < 0x7f && text[end] != '/' {
		end++
	}
	if end == len(text) || end > 128 || !isDigit(text[0]) || text[end] != ' ' && text[end] != 0 {
		return ""
	}
	return string(text[:end])
}
