package kernels

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// debugDir, in a built kernel's directory, has its vmlinux with symbols.
const debugDir = "debug"

// Symbols is the path of a vmlinux of k that has symbols, for a debugger: the image itself, that of a kernel that Rambox has
// built, that of the tree in which the image lies, or that of a distribution's debugging package.
func (k Kernel) Symbols() (path string, ok bool) {
	name := "vmlinux-" + k.Release
	dir := filepath.Dir(k.Path)
	for _, p := range []string{
		k.Path,
		filepath.Join(filepath.Dir(dir), debugDir, name),
		filepath.Join(dir, name),
		filepath.Join(filepath.Dir(buildConfig(k.Path)), "vmlinux"),
		"/usr/lib/debug/boot/" + name,                          // Debian
		"/usr/lib/debug/lib/modules/" + k.Release + "/vmlinux", // Fedora
		"/usr/lib/modules/" + k.Release + "/build/vmlinux",     // Arch
	} {
		if hasSymbols(p, k.Release) {
			return p, true
		}
	}
	return "", false
}

// hasSymbols reports whether path is a vmlinux of a release, with its symbols.
func hasSymbols(path, release string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if f.Section(".symtab") == nil {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	id, err := identify(file)
	return err == nil && id.release == release
}

// Memory is how many bytes of memory the kernel takes to start, before it has anything to work with: init_size of a bzImage
// (Documentation/arch/x86/boot.rst), image_size of an arm64 or RISC-V Image, the segments of a vmlinux. It is 0 where the image
// does not say.
func (k Kernel) Memory() (int64, error) {
	f, err := os.Open(k.Path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, 0x268)
	if _, err := io.ReadFull(f, head); err != nil {
		return 0, fmt.Errorf("read kernel %s: %w", k.Path, err)
	}
	const protocol210 = 0x020a
	switch {
	case string(head[0x202:0x206]) == "HdrS" && binary.LittleEndian.Uint16(head[0x206:]) >= protocol210:
		return int64(binary.LittleEndian.Uint32(head[0x260:])), nil
	case string(head[:4]) == "\x7fELF":
		return elfMemory(f)
	case string(head[0x38:0x3c]) == "ARM\x64", string(head[0x38:0x3c]) == "RSC\x05":
		return int64(binary.LittleEndian.Uint64(head[0x10:])), nil
	}
	return 0, nil
}

func elfMemory(r io.ReaderAt) (int64, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return 0, err
	}
	var size int64
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			size += int64(p.Memsz)
		}
	}
	return size, nil
}
