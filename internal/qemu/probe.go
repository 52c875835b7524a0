//go:build linux

package qemu

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ProbeKVM boots m's kernel under KVM with an init that does nothing but reset the machine, and returns nil when it came to
// that. A KVM that opens, and even runs a small program, may still fail with a real kernel: QEMU refuses a register, or the
// kernel hangs before its first word. So the console may be silent for 1.5 s at most, and all must be over in 5 s.
func ProbeKVM(ctx context.Context, m Machine) error {
	return probe(ctx, Machine{Arch: m.Arch, Type: m.Type, Accel: "kvm", Memory: m.Memory, SMP: m.SMP, Kernel: m.Kernel})
}

func probe(ctx context.Context, m Machine) error {
	m.Cmdline = strings.Join(append(m.BootArgs(), "earlyprintk=serial,ttyS0,115200", "earlycon"), " ")
	image, ok := resetImage(m.withDefaults().Arch)
	if !ok {
		return fmt.Errorf("no proof for %s", m.Arch)
	}
	initrd, err := MemFile("probe")
	if err != nil {
		return err
	}
	defer initrd.Close()
	if _, err := initrd.Write(image); err != nil {
		return fmt.Errorf("write the probe's initramfs: %w", err)
	}
	talk := make(talking, 1)
	vm, err := Start(ctx, m, Options{Initrd: initrd, Console: talk})
	if err != nil {
		return err
	}
	defer vm.Close()
	return watchProbe(ctx, vm, talk)
}

// talking is a console writer that tells that something was written.
type talking chan struct{}

func (t talking) Write(p []byte) (int, error) {
	notify(t)
	return len(p), nil
}

func watchProbe(ctx context.Context, vm *VM, talk talking) error {
	silence, limit := time.NewTimer(probeSilence), time.NewTimer(probeLimit)
	for {
		select {
		case <-talk:
			silence.Reset(probeSilence)
		case <-silence.C:
			return fmt.Errorf("the kernel was silent for %v", probeSilence)
		case <-limit.C:
			return fmt.Errorf("the kernel did not finish booting in %v", probeLimit)
		case <-ctx.Done():
			return ctx.Err()
		case <-vm.Ended():
			if err := vm.Wait().Err(); err != nil {
				return err
			}
			// kernel_restart, kernel/reboot.c. A triple fault ends QEMU with the same status, without these words.
			if !strings.Contains(vm.ConsoleTail(), "reboot: Restarting system") {
				return errors.New("the kernel reset before it reached user space")
			}
			return nil
		}
	}
}

// resetImage is an initramfs with one file: an init that calls reboot(LINUX_REBOOT_CMD_RESTART), which every machine can do.
func resetImage(arch string) ([]byte, bool) {

	var machine uint16
	var code []byte
	switch arch {
	case "amd64":
		machine = 62 // EM_X86_64
		code = []byte{
			0xbf, 0xad, 0xde, 0xe1, 0xfe, // mov edi, LINUX_REBOOT_MAGIC1
			0xbe, 0x69, 0x19, 0x12, 0x28, // mov esi, LINUX_REBOOT_MAGIC2
			0xba, 0x67, 0x45, 0x23, 0x01, // mov edx, LINUX_REBOOT_CMD_RESTART
			0xb8, 0xa9, 0x00, 0x00, 0x00, // mov eax, SYS_reboot
			0x0f, 0x05, // syscall
			0xeb, 0xfe, // jmp .
		}
	case "arm64":
		machine = 183 // EM_AARCH64
		for _, word := range []uint32{
			0xd29bd5a0, 0xf2bfdc20, // mov w0, LINUX_REBOOT_MAGIC1
			0xd2832d21, 0xf2a50241, // mov x1, LINUX_REBOOT_MAGIC2
			0xd288ace2, 0xf2a02462, // mov x2, LINUX_REBOOT_CMD_RESTART
			0xd28011c8, 0xd4000001, // mov x8, SYS_reboot; svc 0
			0x14000000, // b .
		} {
			code = binary.LittleEndian.AppendUint32(code, word)
		}
	default:
		return nil, false
	}
	var b bytes.Buffer
	newc(&b, "init", 0o100755, elf(machine, code))
	newc(&b, "TRAILER!!!", 0, nil)
	return b.Bytes(), true
}

// elf makes a static 64-bit program of position-independent code (elf(5)).
func elf(machine uint16, code []byte) []byte {
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(code))
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	put := func(v any) { b, _ = binary.Append(b, binary.LittleEndian, v) }
	put([]uint16{2, machine}) // ET_EXEC
	put(uint32(1))
	put([]uint64{base + headers, 64, 0}) // entry, program headers, no sections
	put(uint32(0))
	put([]uint16{64, 56, 1, 64, 0, 0})
	put([]uint32{1, 5})                               // PT_LOAD, readable and executable
	put([]uint64{0, base, base, size, size, 0x10000}) // offset, addresses, sizes, alignment
	return append(b, code...)
}

// newc appends one file to a cpio archive (Documentation/driver-api/early-userspace/buffer-format.rst).
func newc(b *bytes.Buffer, name string, mode uint32, data []byte) {
	b.WriteString("070701")
	for _, v := range []uint32{0, mode, 0, 0, 1, 0, uint32(len(data)), 0, 0, 0, 0, uint32(len(name) + 1), 0} {
		fmt.Fprintf(b, "%08x", v)
	}
	b.WriteString(name + "\x00")
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
	b.Write(data)
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
