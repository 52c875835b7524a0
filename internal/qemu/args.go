package qemu

import (
	"fmt"
	"slices"
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
// its descriptor out; then the connections to virtiofsd. It does no I/O.
func (m Machine) Args() ([]string, error) {
	fds := descriptors{tap: firstPortFD + len(m.Ports)}
	next := fds.tap
	if m.Net.Kind == "tap" || m.Net.Kind == "bridge" {
		next++
	}
	for range m.virtiofs() {
		fds.shares, next = append(fds.shares, next), next+1
	}
	return m.fdArgs(fds)
}

// descriptors are those of QEMU that not every machine has.
type descriptors struct {
	tap    int   // -1 is none
	shares []int // of the virtiofs shares, in their order
}

// fdArgs is Args with other descriptors.
func (m Machine) fdArgs(fds descriptors) ([]string, error) {
	return m.args(fmt.Sprintf("socket,id=console,fd=%d", consoleFD), fds)
}

// ShellLine is a command line for a person to copy: the same machine with the console on the terminal (ctrl-a x quits) and
// without the ports, so that an init of ours talks on the console. virtiofsd, if it is needed, has to listen at TAG.sock.
func (m Machine) ShellLine() (string, error) {
	m.Ports = nil
	argv, err := m.args("stdio,id=console,mux=on,signal=off", descriptors{tap: -1})
	if err != nil {
		return "", err
	}
	return ShellWords(append(argv, "-mon", "chardev=console")...), nil
}

func (m Machine) args(console string, fds descriptors) ([]string, error) {
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
	if m.NoPCI {
		// Virtio 1, which virtiofs needs; a microvm has it by itself.
		argv = append(argv, "-global", "virtio-mmio.force-legacy=false")
	}
	argv = append(argv, m.portArgs()...)
	if m.RNG {
		argv = append(argv, "-device", m.virtio("rng"))
	}
	var disks [][]string
	for i, d := range m.Disks {
		disks = append(disks, []string{"-drive", d.drive(i), "-device", fmt.Sprintf("%s,drive=disk%d", m.virtio("blk"), i)})
	}
	if m.NoPCI {
		slices.Reverse(disks) // the kernel finds what is on the board from the last to the first
	}
	argv = append(argv, slices.Concat(disks...)...)
	argv = append(argv, m.shareArgs(fds.shares)...)
	argv = append(argv, m.Net.args(m.nic(), fds.tap)...)
	if !m.Medium {
		argv = append(argv, "-kernel", m.Kernel)
	}
	if m.Initrd != "" {
		argv = append(argv, "-initrd", m.Initrd)
	}
	if m.Cmdline != "" {
		argv = append(argv, "-append", m.Cmdline)
	}
	return append(append(argv, m.gdbArgs()...), m.Extra...), nil
}

// gdbArgs stops the machine before its first instruction, until a debugger lets it go on.
func (m Machine) gdbArgs() []string {
	if m.GDB == "" {
		return nil
	}
	address := m.GDB
	if host, port, ok := strings.Cut(m.GDB, ":"); strings.Contains(m.GDB, "/") {
		address = "path=" + escape(m.GDB)
	} else if ok {
		address = "host=" + host + ",port=" + port
	}
	return []string{"-chardev", "socket,id=gdb,server=on,wait=off," + address, "-gdb", "chardev:gdb", "-S"}
}

// program is the name of QEMU's binary for the guest's architecture.
func (m Machine) program() string {
	names := map[string]string{"amd64": "x86_64", "386": "i386", "arm64": "aarch64"} // the others are as Go says
	if name, ok := names[m.Arch]; ok {
		return "qemu-system-" + name
	}
	return "qemu-system-" + m.Arch
}

func (m Machine) machine() string {
	machine := m.Type
	switch {
	case m.Type == "microvm":
		machine += ",acpi=off" // with ACPI, kernels wait for a timer that the machine lacks
	case m.Arch == "arm64" && m.Accel == "kvm":
		machine += ",gic-version=host"
	}
	if len(m.virtiofs()) > 0 {
		machine += ",memory-backend=ram"
	}
	return machine
}

// virtio names a virtio device on the machine's bus.
func (m Machine) virtio(kind string) string {
	if m.MMIO() {
		return "virtio-" + kind + "-device"
	}
	return "virtio-" + kind + "-pci"
}

// nic leaves out the network card's boot ROM: nothing boots from it here, and it is a package of its own on some hosts.
func (m Machine) nic() string {
	device := m.virtio("net") + ",netdev=net0"
	if m.MMIO() {
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

// ShellWords is a command line for a POSIX shell.
func ShellWords(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	return strings.Join(quoted, " ")
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
