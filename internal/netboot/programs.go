package netboot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// Program is a boot program: what firmware loads first.
type Program struct {
	Name string // in the tree, and for BootConfig: "ipxe.efi"
	File string // on this machine
}

// debianProgram is where Debian has a file of a boot program.
type debianProgram struct{ name, file, pkg string }

// debianPrograms are the boot programs of Debian: iPXE by architecture. For EFI it
// is ipxe.efi, with drivers of its own: snponly.efi depends on what the firmware
// gives it, and is for cards that iPXE does not know.
func debianPrograms(a Arch) (debianProgram, bool) {
	switch a.CPU() {
	case "bios":
		return debianProgram{"undionly.kpxe", "usr/lib/ipxe/undionly.kpxe", "ipxe"}, true
	case "x64":
		return debianProgram{"ipxe.efi", "usr/lib/ipxe/ipxe.efi", "ipxe"}, true
	case "arm64":
		return debianProgram{"ipxe-arm64.efi", "usr/lib/ipxe/ipxe-arm64.efi", "ipxe"}, true
	}
	return debianProgram{}, false
}

// FindProgram returns the boot program for an architecture: the user's file if
// there is one, else Debian's. root is "/".
func FindProgram(root string, a Arch, user string) (Program, error) {
	if user != "" {
		if err := readable(user); err != nil {
			return Program{}, fmt.Errorf("boot program for %s: %w", a, err)
		}
		return Program{Name: FileName(user), File: user}, nil
	}
	d, ok := debianPrograms(a)
	if !ok {
		return Program{}, fmt.Errorf("boot program for %s: Debian has none: give a file", a)
	}
	return d.find(root, a.String())
}

func (d debianProgram) find(root, purpose string) (Program, error) {
	file := filepath.Join(root, d.file)
	err := readable(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Program{}, fmt.Errorf("boot program for %s: no %s: install Debian's package %s (the one of this release may have none for it: then give a file)", purpose, file, d.pkg)
	}
	if err != nil {
		return Program{}, fmt.Errorf("boot program for %s: %w", purpose, err)
	}
	return Program{Name: d.name, File: file}, nil
}

// FindPXELinux returns PXELINUX and the module that it loads next, which
// PXELINUX wants in its own directory. root is "/". The architecture is BIOS or
// x64.
func FindPXELinux(root string, a Arch) ([]Program, error) {
	var parts []debianProgram
	switch a.CPU() {
	case "bios":
		parts = []debianProgram{
			{"pxelinux.0", "usr/lib/PXELINUX/pxelinux.0", "pxelinux"},
			{"ldlinux.c32", "usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"},
		}
	case "x64":
		parts = []debianProgram{
			{"efi64/syslinux.efi", "usr/lib/SYSLINUX.EFI/efi64/syslinux.efi", "syslinux-efi"},
			{"efi64/ldlinux.e64", "usr/lib/syslinux/modules/efi64/ldlinux.e64", "syslinux-common"},
		}
	default:
		return nil, fmt.Errorf("PXELINUX for %s: there is none", a)
	}
	var programs []Program
	for _, d := range parts {
		p, err := d.find(root, "PXELINUX")
		if err != nil {
			return nil, err
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// Serve puts programs on a shelf. PXELINUX looks for its module and its
// configuration in other directories, too.
func (s *Shelf) Serve(programs ...Program) error {
	if s.Files == nil {
		s.Files = map[string]string{}
	}
	for _, p := range programs {
		name := strings.TrimPrefix(path.Clean("/"+p.Name), "/")
		if other, ok := s.Files[name]; ok && other != p.File {
			return fmt.Errorf("boot programs %s and %s: both would be served as %s", other, p.File, name)
		}
		s.Files[name] = p.File
	}
	return nil
}
