package netboot

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"rambox/internal/bootmedia"
	"rambox/internal/kernels"
)

// firmware is what a configuration has for firmware to load.
type firmware struct {
	boot     BootConfig // what clients are told of it
	programs []Program
	stubs    map[string][]byte // by [Arch.CPU]: of those that get unified kernel images
	missing  []error           // why some get something else than usual, or nothing
}

// firmwareArches are the architectures of firmware by what it runs, with TFTP and
// by HTTP. Firmware of BIOS has no HTTP.
func firmwareArches(cpu string) (tftp, http []Arch) {
	switch cpu {
	case "bios":
		return []Arch{ArchBIOS}, nil
	case "x86":
		return []Arch{ArchEFI32}, []Arch{ArchHTTP32}
	case "x64":
		return []Arch{ArchEFIBC, ArchEFI64}, []Arch{ArchHTTP64}
	case "arm":
		return []Arch{ArchEFIArm}, []Arch{ArchHTTPArm}
	case "arm64":
		return []Arch{ArchEFIArm64}, []Arch{ArchHTTPArm64}
	}
	return []Arch{ArchRISCV64}, []Arch{ArchHTTPRISCV}
}

// findFirmware finds what a configuration names and what Debian has installed. root
// is "/". known are stubs that were found before, which who has become another user
// may not find again.
func findFirmware(root string, c *Config, known map[string][]byte) (*firmware, error) {
	base := "http://${server}:" + strconv.Itoa(c.HTTPPort) + "/"
	f := &firmware{
		boot:  BootConfig{Programs: map[Arch]string{}, HTTPPrograms: map[Arch]string{}, Script: base + IPXEScriptName, ScriptTFTP: IPXEScriptName},
		stubs: map[string][]byte{},
	}
	for _, cpu := range configCPUs() {
		byTFTP, byHTTP := firmwareArches(cpu)
		name, err := f.find(root, cpu, c.Programs[cpu], known[cpu])
		if err != nil {
			return nil, c.wrong("program."+cpu, err)
		}
		if name == "" {
			continue
		}
		for _, a := range byTFTP {
			f.boot.Programs[a] = name
		}
		for _, a := range byHTTP {
			f.boot.HTTPPrograms[a] = base + name
		}
	}
	return f, nil
}

// find finds what an architecture loads first and returns its name in the tree; ""
// where there is nothing.
func (f *firmware) find(root, cpu, named string, known []byte) (string, error) {
	byTFTP, _ := firmwareArches(cpu)
	arch := byTFTP[0]
	switch {
	case named == "pxelinux":
		found, err := FindPXELinux(root, arch)
		if err != nil {
			return "", err
		}
		f.programs = append(f.programs, found...)
		return found[0].Name, nil
	case named == "uki", strings.HasSuffix(named, ".efi.stub"):
		return f.unified(root, cpu, strings.TrimSuffix(named, "uki"), known)
	}
	var lacking error
	if _, ok := debianPrograms(arch); ok || named != "" {
		p, err := FindProgram(root, arch, named)
		if err == nil {
			f.programs = append(f.programs, p)
			return p.Name, nil
		}
		if named != "" {
			return "", err
		}
		lacking = err
	}
	var name string
	if ukiArch(cpu) != "" {
		var err error
		if name, err = f.unified(root, cpu, "", known); err == nil && lacking != nil {
			lacking = fmt.Errorf("%w; machines get unified kernel images instead", lacking)
		} else if lacking != nil {
			lacking = fmt.Errorf("%w; %w", lacking, err)
		}
	}
	if lacking != nil {
		f.missing = append(f.missing, lacking)
	}
	return name, nil
}

// unified has an architecture get unified kernel images, with the stub of a file or
// with systemd's.
func (f *firmware) unified(root, cpu, file string, known []byte) (string, error) {
	arch := ukiArch(cpu)
	if arch == "" {
		return "", fmt.Errorf("unified kernel images for %s: there are none: give another program", cpu)
	}
	var stub []byte
	var err error
	if file != "" {
		stub, err = os.ReadFile(file)
	} else {
		stub, err = findStub(root, arch)
	}
	if err != nil && known != nil {
		stub, err = known, nil
	}
	if err == nil {
		err = bootmedia.CheckStub(stub, arch)
	}
	if err != nil {
		return "", fmt.Errorf("unified kernel images for %s: %w", cpu, err)
	}
	f.stubs[cpu] = stub
	return UKIName, nil
}

// findStub reads systemd's stub for an architecture by Go's name, where Debian has
// it or "rambox kernel fetch" has put it.
func findStub(root, arch string) ([]byte, error) {
	var more []string
	if dir, err := kernels.StubDir(arch); err == nil {
		more = append(more, dir)
	}
	l := bootmedia.Stub(arch, more...)
	b, err := l.Find(os.DirFS(root))
	if err != nil && l.Package == "" && kernels.FetchesStub(arch) {
		err = fmt.Errorf("%w; run rambox kernel fetch --arch %s", err, arch)
	}
	return b, err
}
