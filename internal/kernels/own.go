package kernels

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"io"
	"path/filepath"
	"runtime"
	"strings"
)

// Direct is k by the vmlinux that was kept beside its bzImage, if it is a kernel that Rambox has built and QEMU can start that one by PVH:
// then nothing has to unpack itself. Otherwise it is k.
func (k Kernel) Direct() Kernel {
	dir, name := filepath.Split(k.Path)
	rest, compressed := strings.CutPrefix(name, "vmlinuz-")
	if !compressed || k.Origin != OriginCache || !k.Own() {
		return k
	}
	if path := filepath.Join(dir, "vmlinux-"+rest); startsByPVH(path) {
		k.Path = path
	}
	return k
}

// Own reports whether Rambox has built k.
func (k Kernel) Own() bool { return strings.Contains(k.Release, "-rambox-") }

// FindBuilt returns the newest kernel in the cache that Rambox has built by a profile, for an architecture by its GOARCH name;
// "" is the host's. ok is false if there is none.
func FindBuilt(profile, arch string) (k Kernel, ok bool) {
	all, err := List()
	if err != nil {
		return Kernel{}, false
	}
	return findBuilt(all, profile, cmp.Or(arch, runtime.GOARCH))
}

func findBuilt(all []Kernel, profile, arch string) (Kernel, bool) {
	for _, k := range all {
		if k.Origin == OriginCache && k.Own() && k.Arch == arch && k.Flavour() == profile {
			return k, true
		}
	}
	return Kernel{}, false
}

// startsByPVH reports whether path is an ELF image with the PVH entry: a note XEN_ELFNOTE_PHYS32_ENTRY
// (include/xen/interface/elfnote.h), which is what QEMU looks for (read_pvh_start_addr, hw/i386/x86.c).
func startsByPVH(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE && hasNote(p.Open(), f.ByteOrder, "Xen\x00", 18) {
			return true
		}
	}
	return false
}

// hasNote looks for a note in a segment of them (elf(5), Elf64_Nhdr, which 32-bit kernels have too).
func hasNote(r io.Reader, order binary.ByteOrder, name string, kind uint32) bool {
	const most = 1 << 16
	padded := func(n uint32) int64 { return (int64(n) + 3) &^ 3 }
	for {
		var head struct{ NameSize, DescSize, Type uint32 }
		if binary.Read(r, order, &head) != nil || head.NameSize > most {
			return false
		}
		text := make([]byte, padded(head.NameSize))
		if _, err := io.ReadFull(r, text); err != nil {
			return false
		}
		if head.Type == kind && string(text[:head.NameSize]) == name {
			return true
		}
		if _, err := io.CopyN(io.Discard, r, padded(head.DescSize)); err != nil {
			return false
		}
	}
}
