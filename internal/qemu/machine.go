package qemu

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Machine describes a virtual machine. The zero value is the host's architecture, 256 MiB, one CPU, no disk and no network.
type Machine struct {
	Arch    string   // GOARCH name: amd64, 386, arm, arm64, riscv64; "" is the host's
	Type    string   // pc, q35 or microvm (amd64, 386), virt (the others); "" is q35 or virt
	NoPCI   bool     // virt: the virtio devices are on the board itself (MMIO), for kernels without PCI. A microvm has no PCI in any case.
	Accel   string   // tcg or kvm; "" is tcg. "auto" is for ChooseAccel to resolve.
	CPU     string   // QEMU's -cpu; "" is the richest model that costs nothing (see cpu)
	Memory  int64    // bytes, at least 1 MiB; 0 is 256 MiB
	SMP     int      // number of CPUs; 0 is 1
	Kernel  string   // path of a bzImage, Image or (PVH) vmlinux
	Medium  bool     // no kernel: the firmware boots from a medium, which is a disk or in Extra
	Initrd  string   // path of an initramfs; "" is none
	Cmdline string   // the kernel's command line, see BootArgs
	Disks   []Disk   // /dev/vda, /dev/vdb, …
	Shares  []Share  // directories of the host
	Net     Network  // the network card
	Ports   []string // names of virtio-serial ports
	RNG     bool     // a virtio-rng device
	GDB     string   // where the machine waits for a debugger: host:port, or a path with a slash; "" is nowhere. Start sets it for Options.GDB
	Extra   []string // further arguments, passed as they are
}

// Disk is a virtio block device backed by a file or a block device of the host.
type Disk struct {
	Path     string
	Format   string // raw, qcow2, …; "" is qcow2 when Path ends in .qcow2, else raw. QEMU never guesses: a guest could write a header.
	ReadOnly bool
}

// withDefaults fills what the caller left open.
func (m Machine) withDefaults() Machine {
	if m.Arch == "" {
		m.Arch = runtime.GOARCH
	}
	if m.Type == "" {
		m.Type = "virt"
		if m.x86() {
			// On pc a kernel interprets ACPI code for 80 ms (under TCG) before the
			// first interrupt of each virtio device; q35 boots as fast otherwise.
			m.Type = "q35"
		}
	}
	if m.Accel == "" {
		m.Accel = "tcg"
	}
	if m.CPU == "" {
		m.CPU = m.cpu()
	}
	if m.Memory == 0 {
		m.Memory = 256 << 20
	}
	if m.SMP == 0 {
		m.SMP = 1
	}
	return m
}

func (m Machine) x86() bool { return m.Arch == "amd64" || m.Arch == "386" }

// cpu is the default model. Under TCG "max" runs programs built for x86-64-v3 and costs nothing measurable at boot;
// arm64's "max" spends seconds on pointer authentication unless it is told to use the cheap algorithm.
func (m Machine) cpu() string {
	switch {
	case m.Accel == "kvm":
		return "host"
	case m.Arch == "arm64":
		return "max,pauth-impdef=on"
	case m.Arch == "riscv64":
		return "rv64" // "max" came with QEMU 8.2
	default:
		return "max"
	}
}

// check reports what QEMU would refuse in words that do not help, or would accept and get wrong.
func (m Machine) check() error {
	types := map[string][]string{
		"amd64": {"pc", "q35", "microvm"}, "386": {"pc", "q35", "microvm"},
		"arm": {"virt"}, "arm64": {"virt"}, "riscv64": {"virt"},
	}
	known, ok := types[m.Arch]
	if !ok {
		return fmt.Errorf("architecture %q: want amd64, 386, arm, arm64 or riscv64", m.Arch)
	}
	if !slices.Contains(known, m.Type) {
		return fmt.Errorf("machine type %q for %s: want %s", m.Type, m.Arch, strings.Join(known, ", "))
	}
	switch {
	case m.Accel != "tcg" && m.Accel != "kvm":
		return fmt.Errorf("accelerator %q: want tcg or kvm", m.Accel)
	case m.Accel == "kvm" && !m.native():
		return fmt.Errorf("accelerator kvm: the host is %s, the guest %s", runtime.GOARCH, m.Arch)
	case m.Memory < 1<<20:
		return fmt.Errorf("memory of %d bytes: want at least 1 MiB", m.Memory)
	case m.SMP < 1:
		return fmt.Errorf("%d CPUs: want at least one", m.SMP)
	case m.Kernel == "" && !m.Medium:
		return errors.New("no kernel given")
	case len(m.Cmdline) > m.cmdlineMax():
		return fmt.Errorf("the kernel command line has %d bytes, an %s kernel keeps %d", len(m.Cmdline), m.Arch, m.cmdlineMax())
	}
	if m.NoPCI && m.x86() && m.Type != "microvm" {
		return fmt.Errorf("machine %s has its virtio devices on PCI", m.Type)
	}
	for _, d := range m.Disks {
		if d.Path == "" {
			return errors.New("disk without a path")
		}
	}
	if err := m.checkShares(); err != nil {
		return err
	}
	if err := m.Net.check(); err != nil {
		return fmt.Errorf("network %s: %w", m.Net, err)
	}
	return nil
}

// native reports whether the host's CPU can run the guest's code.
func (m Machine) native() bool {
	return m.Arch == runtime.GOARCH || m.Arch == "386" && runtime.GOARCH == "amd64"
}

// cmdlineMax is COMMAND_LINE_SIZE less the NUL, arch/*/include/uapi/asm/setup.h (v6.1).
func (m Machine) cmdlineMax() int {
	if m.Arch == "riscv64" || m.Arch == "arm" {
		return 1023
	}
	return 2047
}

// MMIO reports whether the virtio devices are on the board itself, not on PCI.
func (m Machine) MMIO() bool { return m.NoPCI || m.Type == "microvm" }

// Console names the kernel's device for the serial console, for console=.
func (m Machine) Console() string {
	if arch := m.withDefaults().Arch; arch == "arm64" || arch == "arm" {
		return "ttyAMA0"
	}
	return "ttyS0"
}

// BootArgs are the words that the kernel's command line needs on this machine: the console; a panic ends QEMU
// instead of hanging; the kernel does not test its cryptography, for which Debian's takes longer than for all the rest until init
// (with fips=1 it does: alg_test, crypto/testmgr.c); a PC does not check its timer, because on a busy host a guest under TCG misses the ticks and panics
// ("IO-APIC + timer doesn't work"); and a microVM without ACPI ends by a reset (triple fault) because it cannot power off, which our init is told.
// With little memory the kernel has to grant what nobody will use: a Go program asks for 32 MiB at its start, which the
// heuristic refuses a machine with less (__vm_enough_memory, mm/util.c); and chance is not to place the kernel, because one
// more MiB is needed where that cuts free memory badly. Kernels before 5.8, and those without PROC_SYSCTL, ignore the former.
func (m Machine) BootArgs() []string {
	words := []string{"console=" + m.Console(), "panic=-1", "cryptomgr.notests"}
	if m.Little() {
		words = append(words, "sysctl.vm.overcommit_memory=1", "nokaslr")
	}
	if m.withDefaults().x86() {
		words = append(words, "no_timer_check")
	}
	if m.Type == "microvm" {
		words = append(words, "reboot=t", "rambox.nopower=reboot")
	}
	return words
}

// Little reports whether m has so little memory that a guest has to be told: less than 96 MiB.
func (m Machine) Little() bool { return m.withDefaults().Memory < 96<<20 }

// Writable reports whether the guest may change something that outlives it: by a disk, a share, or by what Extra gives it.
func (m Machine) Writable() bool {
	for _, s := range m.Shares {
		if !s.ReadOnly {
			return true
		}
	}
	for _, d := range m.Disks {
		if !d.ReadOnly {
			return true
		}
	}
	return len(m.Extra) > 0
}
