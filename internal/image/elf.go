package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strings"

	"rambox/internal/kernels"
)

// arch is what building for an architecture needs to know, by its Go name.
type arch struct {
	name    string // GOARCH
	machine machine
	triplet string // of Debian's directories: /usr/lib/x86_64-linux-gnu
	glibc   string // the loader's path
	musl    string // musl's name for it
	compat  string // another architecture whose programs its kernel may run
	option  string // the kernel option for that
}

// machine tells programs apart that no one loader mixes.
type machine struct {
	elf.Machine
	elf.Class
	elf.Data
}

// arches follows glibc's shlib-versions and Debian's multiarch tuples.
var arches = [...]arch{
	{"amd64", machine{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB}, "x86_64-linux-gnu", "/lib64/ld-linux-x86-64.so.2", "x86_64", "386", "CONFIG_IA32_EMULATION"},
	{"386", machine{elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB}, "i386-linux-gnu", "/lib/ld-linux.so.2", "i386", "", ""},
	{"arm64", machine{elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB}, "aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1", "aarch64", "arm", "CONFIG_COMPAT"},
	{"arm", machine{elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB}, "arm-linux-gnueabihf", "/lib/ld-linux-armhf.so.3", "armhf", "", ""},
	{"riscv64", machine{elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB}, "riscv64-linux-gnu", "/lib/ld-linux-riscv64-lp64d.so.1", "riscv64", "", ""},
	{"loong64", machine{elf.EM_LOONGARCH, elf.ELFCLASS64, elf.ELFDATA2LSB}, "loongarch64-linux-gnu", "/lib64/ld-linux-loongarch-lp64d.so.1", "loongarch64", "", ""},
	{"ppc64le", machine{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB}, "powerpc64le-linux-gnu", "/lib64/ld64.so.2", "powerpc64le", "", ""},
	{"s390x", machine{elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB}, "s390x-linux-gnu", "/lib/ld64.so.1", "s390x", "", ""},
}

func archNamed(name string) (arch, error) {
	var names []string
	for _, a := range arches {
		if a.name == name {
			return a, nil
		}
		names = append(names, a.name)
	}
	return arch{}, fmt.Errorf("architecture %q: want one of %s", name, strings.Join(names, ", "))
}

func archOf(m machine) (arch, bool) {
	for _, a := range arches {
		if a.machine == m {
			return a, true
		}
	}
	return arch{}, false
}

// muslLoader is the path of musl's loader: "/lib/ld-musl-x86_64.so.1".
func (a arch) muslLoader() string { return "/lib/ld-musl-" + a.musl + ".so.1" }

// String is "amd64", or "Machine 47, 32-bit" for what has no name here.
func (m machine) String() string {
	if a, ok := archOf(m); ok {
		return a.name
	}
	bits := "64-bit"
	if m.Class == elf.ELFCLASS32 {
		bits = "32-bit"
	}
	return strings.TrimPrefix(m.Machine.String(), "EM_") + ", " + bits
}

// runs tells whether a kernel of architecture a, with this configuration, can
// run programs for m; the error names what is against it.
func (a arch) runs(m machine, kernel kernels.Config) error {
	if m == a.machine {
		return nil
	}
	other, ok := archOf(m)
	switch {
	case !ok:
		return fmt.Errorf("built for %s, the image is for %s", m, a.name)
	case other.name != a.compat:
		return fmt.Errorf("built for %s, the image is for %s; for a machine of its own architecture: --arch %[1]s", m, a.name)
	}
	if kernel != nil && !has(kernel, a.option) {
		return fmt.Errorf("built for %s, and the kernel was built without %s", m, a.option)
	}
	return nil
}

// elfFile is what the loader reads from an ELF program or shared object.
type elfFile struct {
	machine machine
	interp  string   // PT_INTERP; "" for shared objects and static programs
	needed  []string // DT_NEEDED
	rpath   []string // DT_RPATH, split
	runpath []string // DT_RUNPATH, split
	unwinds bool     // it cancels or exits threads, so that glibc opens libgcc_s.so.1
	oldNSS  bool     // it is a glibc that opens libnss_files.so.2
}

var errNotProgram = errors.New("no ELF program or shared object")

// readELF reads an ELF file. Other files, and ELF files that are neither
// program nor shared object, give errNotProgram.
func readELF(r io.ReaderAt) (*elfFile, error) {
	var magic [len(elf.ELFMAG)]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil, errNotProgram
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return nil, errNotProgram
	}
	b := &elfFile{machine: machine{f.Machine, f.Class, f.Data}}
	dynamic := false
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_DYNAMIC:
			dynamic = true
		case elf.PT_INTERP:
			if b.interp, err = readInterp(p); err != nil {
				return nil, err
			}
		}
	}
	if !dynamic {
		return b, nil
	}
	if f.SectionByType(elf.SHT_DYNAMIC) == nil {
		return nil, errors.New("its section table is stripped: its libraries cannot be read")
	}
	return b, b.readDynamic(f)
}

func readInterp(p *elf.Prog) (string, error) {
	if p.Filesz > maxPath {
		return "", fmt.Errorf("interpreter of %d bytes", p.Filesz)
	}
	name, err := io.ReadAll(p.Open())
	if err != nil {
		return "", fmt.Errorf("read interpreter: %w", err)
	}
	return strings.TrimRight(string(name), "\x00"), nil
}

func (b *elfFile) readDynamic(f *elf.File) error {
	needed, err := f.DynString(elf.DT_NEEDED)
	if err != nil {
		return fmt.Errorf("read DT_NEEDED: %w", err)
	}
	b.needed = needed
	for tag, list := range map[elf.DynTag]*[]string{elf.DT_RPATH: &b.rpath, elf.DT_RUNPATH: &b.runpath} {
		paths, err := f.DynString(tag)
		if err != nil {
			return fmt.Errorf("read %s: %w", tag, err)
		}
		for _, p := range paths {
			*list = append(*list, strings.Split(p, ":")...)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return fmt.Errorf("read symbols: %w", err)
	}
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF && (s.Name == "pthread_cancel" || s.Name == "pthread_exit") {
			b.unwinds = true
		}
	}
	b.oldNSS, err = opensNSS(f)
	return err
}

// opensNSS tells whether f is a glibc before 2.34, which took libnss_files and
// libnss_dns into libc.so.6.
func opensNSS(f *elf.File) (bool, error) {
	soname, err := f.DynString(elf.DT_SONAME)
	if err != nil || len(soname) == 0 || soname[0] != libc {
		return false, err
	}
	versions, err := f.DynamicVersions()
	if err != nil {
		return false, fmt.Errorf("read symbol versions: %w", err)
	}
	for _, v := range versions {
		if v.Name == "GLIBC_2.34" {
			return false, nil
		}
	}
	return true, nil
}

const libc = "libc.so.6"
