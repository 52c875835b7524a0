package bootmedia

import (
	"encoding/binary"
	"fmt"
	"io"
)

// CheckISOLINUX returns an error if ISOLINUX cannot start the kernel: it takes a
// bzImage (Documentation/arch/x86/boot.rst).
func CheckISOLINUX(kernel io.ReaderAt) error {
	magic := make([]byte, 4)
	if _, err := kernel.ReadAt(magic, 0x202); err != nil || string(magic) != "HdrS" {
		return fmt.Errorf("boot loaders for BIOS take a bzImage (vmlinuz), which this is not")
	}
	return nil
}

// CheckEFIStub returns an error if UEFI cannot start the kernel of arch itself.
func CheckEFIStub(kernel io.ReaderAt, arch string) error {
	lacks := fmt.Errorf("it has no EFI stub (CONFIG_EFI_STUB), without which UEFI does not start it")
	head := make([]byte, 64)
	switch _, err := kernel.ReadAt(head, 0); {
	case err == nil && string(head[:2]) == "\x1f\x8b": // Image.gz, which U-Boot takes
		return fmt.Errorf("it is compressed with gzip, which UEFI does not undo; give it uncompressed (gunzip)")
	case err != nil || string(head[:2]) != "MZ":
		return lacks
	}
	pe := make([]byte, 6)
	at := int64(binary.LittleEndian.Uint32(head[60:]))
	if _, err := kernel.ReadAt(pe, at); err != nil || string(pe[:4]) != "PE\x00\x00" {
		return lacks
	}
	if machine := binary.LittleEndian.Uint16(pe[4:]); machine != machines[arch] {
		return fmt.Errorf("its EFI stub is for the machine %#x, not for %s", machine, arch)
	}
	return nil
}

// machines are the PE machine types of architectures.
var machines = map[string]uint16{"amd64": 0x8664, "386": 0x14c, "arm64": 0xaa64, "riscv64": 0x5064}
