package bootmedia

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
)

// Loader is a file of a boot loader on the host.
type Loader struct {
	Name    string
	dirs    []string // where distributions have it
	Package string   // of Debian; "": it has none for this machine
}

var (
	syslinuxDirs = []string{"usr/lib/ISOLINUX", "usr/lib/syslinux/modules/bios", "usr/lib/syslinux/bios", "usr/share/syslinux"}
	systemdDirs  = []string{"usr/lib/systemd/boot/efi"}
)

// suffixes are those of UEFI's programs.
var suffixes = map[string]string{"amd64": "x64", "arm64": "aa64", "386": "ia32", "riscv64": "riscv64"}

// Stub is systemd's stub for an architecture by Go's name. More are further
// directories that may have it, as absolute paths.
func Stub(arch string, more ...string) Loader {
	l := Loader{"linux" + suffixes[arch] + ".efi.stub", slices.Clone(systemdDirs), "systemd-boot-efi"}
	for _, dir := range more {
		l.dirs = append(l.dirs, strings.TrimPrefix(dir, "/"))
	}
	if arch != runtime.GOARCH {
		l.Package = ""
	}
	return l
}

// Find reads the file. root is os.DirFS("/"). The error names the package that
// has it.
func (l Loader) Find(root fs.FS) ([]byte, error) {
	for _, dir := range l.dirs {
		b, err := fs.ReadFile(root, path.Join(dir, l.Name))
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	err := fmt.Errorf("no %s in /%s", l.Name, strings.Join(l.dirs, ", /"))
	if l.Package != "" {
		err = fmt.Errorf("%w; install it (Debian: apt-get install %s)", err, l.Package)
	}
	return nil, err
}

// FindISOLINUX reads the boot loader for BIOS.
func FindISOLINUX(root fs.FS) (*ISOLINUX, error) {
	i := &ISOLINUX{}
	for _, f := range [...]struct {
		to *[]byte
		Loader
	}{
		{&i.Bin, Loader{"isolinux.bin", syslinuxDirs, "isolinux"}},
		{&i.MBR, Loader{"isohdpfx.bin", syslinuxDirs, "isolinux"}},
		{&i.Core, Loader{"ldlinux.c32", syslinuxDirs, "syslinux-common"}},
	} {
		var err error
		if *f.to, err = f.Find(root); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// FindSystemdBoot reads the boot loader for UEFI.
func FindSystemdBoot(root fs.FS, arch string) (*SystemdBoot, error) {
	b, err := Loader{"systemd-boot" + suffixes[arch] + ".efi", systemdDirs, "systemd-boot-efi"}.Find(root)
	return &SystemdBoot{arch, b}, err
}
