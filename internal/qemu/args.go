package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// Descriptors that Start hands to QEMU: the console's socket, then one for each port, then a tap device and an in-memory
// initrd if there are any.
const (
	consoleFD   = 3
	firstPortFD = 4
)

// Args returns QEMU's argument vector, the program's name first. It is what Start executes: the console is descriptor 3,
// the ports are 4 and up, then comes the tap device, also on a bridge; where QEMU's helper makes that one, Start leaves
// its descriptor out. It does no I/O.
func (m Machine) Args() ([]string, error) { return m.fdArgs(firstPortFD + len(m.Ports)) }

// fdArgs is Args with the tap device at a descriptor; -1 is none.
func (m Machine) fdArgs(tapFD int) ([]string, error) {
	return m.args(fmt.Sprintf("socket,id=console,fd=%d", consoleFD), tapFD)
}

// ShellLine is a command line for a person to copy: the same machine with the console on the terminal (ctrl-a x quits) and
// without the ports, so that an init of ours talks on the console.
func (m Machine) ShellLine() (string, error) {
	m.Ports = nil
	argv, err := m.args("stdio,id=console,mux=on,signal=off", -1)
	if err != nil {
		return "", err
	}
	argv = append(argv, "-mon", "chardev=console")
	for i, a := range argv {
		argv[i] = shellQuote(a)
	}
	return strings.Join(argv, " "), nil
}

func (m Machine) args(console string, tapFD int) ([]string, error) {
	m = m.withDefaults()
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("virtual machine: %w", err)
	}
	argv := []string{
		m.program(),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", m.machine(), "-accel", m.Accel, "-cpu", m.CPU,
		"-m", memory(m.Memory), "-smp", strconv.Itoa(m.SMP),
		"-chardev", console, "-serial", "chardev:console",
	}
	argv = append(argv, m.portArgs()...)
	if m.RNG {
		argv = append(argv, "-device", m.virtio("rng"))
	}
	for i, d := range m.Disks {
		argv = append(argv, "-drive", d.drive(i), "-device", fmt.Sprintf("%s,drive=disk%d", m.virtio("blk"), i))
	}
	argv = append(argv, m.Net.args(m.nic(), tapFD)...)
	argv = append(argv, "-kernel", m.Kernel)
	if m.Initrd != "" {
		argv = append(argv, "-initrd", m.Initrd)
	}
	if m.Cmdline != "" {
		argv = append(argv, "-append", m.Cmdline)
	}
	return append(argv, m.Extra...), nil
}

// program is the name of QEMU's binary for the guest's architecture.
func (m Machine) program() string {
	names := map[string]string{"amd64": "x86_64", "386": "i386", "arm64": "aarch64"}
	if name, ok := names[m.Arch]; ok {
		return "qemu-system-" + name
	}
	return "qemu-system-" + m.Arch
}

func (m Machine) machine() string {
	switch {
	case m.Type == "microvm":
		return "microvm,acpi=off" // with ACPI, kernels wait for a timer that the machine lacks
	case m.Arch == "arm64" && m.Accel == "kvm":
		return "virt,gic-version=host"
	default:
		return m.Type
	}
}

// virtio names a virtio device on the machine's bus: a microVM has no PCI.
func (m Machine) virtio(kind string) string {
	if m.Type == "microvm" {
		return "virtio-" + kind + "-device"
	}
	return "virtio-" + kind + "-pci"
}

// nic leaves out the network card's boot ROM: nothing boots from it here, and it is a package of its own on some hosts.
func (m Machine) nic() string {
	device := m.virtio("net") + ",netdev=net0"
	if m.Type == "microvm" {
		return device
	}
	return device + ",romfile="
}

func (m Machine) portArgs() []string {
	if len(m.Ports) == 0 {
		return nil
	}
	// Port 0 is reserved for a virtconsole (hw/char/virtio-serial-bus.c), so n ports need room for n+1.
	argv := []string{"-device", fmt.Sprintf("%s,id=ports,max_ports=%d", m.virtio("serial"), len(m.Ports)+1)}
	for i, name := range m.Ports {
		argv = append(argv,
			"-chardev", fmt.Sprintf("socket,id=port%d,fd=%d", i, firstPortFD+i),
			"-device", fmt.Sprintf("virtserialport,bus=ports.0,nr=%d,chardev=port%d,name=%s", i+1, i, escape(name)))
	}
	return argv
}

// drive is the disk's -drive argument.
func (d Disk) drive(i int) string {
	format := d.Format
	if format == "" {
		format = "raw"
		if strings.HasSuffix(d.Path, ".qcow2") {
			format = "qcow2"
		}
	}
	path := d.Path
	if !strings.HasPrefix(path, "/") {
		path = "./" + path // "a:b" would be protocol a (path_has_protocol, block.c)
	}
	drive := fmt.Sprintf("if=none,id=disk%d,format=%s,file=%s", i, escape(format), escape(path))
	if d.ReadOnly {
		drive += ",readonly=on"
	}
	return drive
}

// memory is a size for -m, in MiB when it is a whole number of them, else in KiB rounded down.
func memory(bytes int64) string {
	if bytes%(1<<20) == 0 {
		return strconv.FormatInt(bytes>>20, 10) + "M"
	}
	return strconv.FormatInt(bytes>>10, 10) + "K"
}

// escape doubles commas, which separate the options of one argument (QEMU's util/qemu-option.c).
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
