package main

import (
	"fmt"
	"os/exec"
	"runtime"

	"github.com/spf13/pflag"

	"rambox/internal/image"
	"rambox/internal/kernels"
	"rambox/internal/qemu"
)

// archOptions choose the machine's architecture.
type archOptions struct{ arch string }

func (o *archOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.arch, "arch", "", "architecture by Go's name: amd64, 386, arm, arm64, riscv64 (default: the kernel's)")
}

// foreign reports whether an architecture is another than this machine's; "" is
// this machine's.
func foreign(arch string) bool { return arch != "" && arch != runtime.GOARCH }

// findBusybox is the busybox named, else that of this machine if it is
// static: one with libraries would not run in an image without them. For
// another architecture it is the one that came with its kernel. "none" is none.
func findBusybox(named, arch string) string {
	if named == "none" {
		return ""
	}
	if named != "" {
		return named
	}
	if foreign(arch) {
		if p, ok := kernels.Busybox(arch); ok {
			return p
		}
		return ""
	}
	p, err := exec.LookPath("busybox")
	if err != nil {
		return ""
	}
	return p
}

// withoutBusybox says where a busybox comes from if that may be what an image
// of another architecture lacks.
func withoutBusybox(err error, spec image.Spec) error {
	if !foreign(spec.Arch) || spec.Busybox != "" {
		return err
	}
	return fmt.Errorf("%w (there is no busybox for %s; to have one: rambox kernel fetch --arch %[2]s)", err, spec.Arch)
}

// isFetched reports whether there is nothing for kernel fetch to do.
func isFetched(flavour, arch string) bool {
	_, err := kernels.FindFor(flavour, arch)
	if err == nil && foreign(arch) {
		_, ok := kernels.Busybox(arch)
		return ok && kernels.HasStub(arch)
	}
	return err == nil
}

// machineType is the machine type for a kernel if none is named: a PC of which the
// kernel has no bus would be without any device.
func machineType(k kernels.Kernel) (string, error) {
	config, err := kernels.ReadConfig(k.Config)
	if err != nil {
		return "", err
	}
	if lacksPCI(config) && isPC(k.Arch) {
		return "microvm", nil
	}
	return "", nil
}

func lacksPCI(config kernels.Config) bool {
	pci, known := config.Enabled("PCI")
	return known && !pci
}

func isPC(arch string) bool { return arch == "amd64" || arch == "386" }

// checkMMIO refuses devices that a kernel would not see: it finds those of a
// microVM, which has no ACPI here, by its command line alone. Without devices
// such a kernel is of use: the program has the console.
func checkMMIO(k kernels.Kernel, config kernels.Config, m qemu.Machine) error {
	const option = "VIRTIO_MMIO_CMDLINE_DEVICES"
	finds, known := config.Enabled(option)
	if m.Type != "microvm" || finds || !known || len(m.Disks)+len(m.Shares) == 0 && !m.Net.Card() {
		return nil
	}
	return fmt.Errorf("--machine microvm: the kernel %s would find no disk, network or share there, for it was built without CONFIG_%s; one that does: rambox kernel build --profile micro", k.Release, option)
}
