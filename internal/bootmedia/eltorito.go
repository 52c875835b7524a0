package bootmedia

import (
	"encoding/binary"
	"fmt"
)

// Platforms of El Torito; that of UEFI is from its specification, 13.3.2.1.
const (
	platformPC  = 0
	platformEFI = 0xef
)

// bootImage is what a catalog offers to one kind of firmware.
type bootImage struct {
	platform byte
	sector   uint32
	units    uint16 // of 512 bytes that are loaded; for UEFI 0 is all
}

// catalog is the boot catalog of El Torito 1.0, section 2: the first image is
// the default one, any other has a section of its own.
func catalog(images []bootImage) []byte {
	b := make([]byte, sector)
	b[0], b[1] = 1, images[0].platform
	copy(b[4:28], "rambox")
	b[30], b[31] = 0x55, 0xaa
	sum := uint16(0)
	for i := 0; i < 32; i += 2 {
		sum += binary.LittleEndian.Uint16(b[i:])
	}
	binary.LittleEndian.PutUint16(b[28:], -sum)
	at := 32
	for i, image := range images {
		if i > 0 {
			b[at] = 0x90
			if i == len(images)-1 {
				b[at] = 0x91 // the last
			}
			b[at+1], b[at+2] = image.platform, 1
			at += 32
		}
		b[at] = 0x88 // bootable, no emulation of a floppy
		binary.LittleEndian.PutUint16(b[at+6:], image.units)
		binary.LittleEndian.PutUint32(b[at+8:], image.sector)
		at += 32
	}
	return b
}

// bootRecord is the descriptor that names the catalog's sector.
func bootRecord(catalog uint32) []byte {
	b := make([]byte, sector)
	copy(b, "\x00CD001\x01EL TORITO SPECIFICATION")
	binary.LittleEndian.PutUint32(b[71:], catalog)
	return b
}

// hybridMagic is at offset 64 of an ISOLINUX that can also be started by an MBR
// (isohybrid.c of syslinux).
const hybridMagic = 0x7078c0fb

// patchISOLINUX tells isolinux.bin where it is: the boot information table of
// mkisofs, which it reads at offset 8.
func patchISOLINUX(image []byte, descriptor, at uint32) ([]byte, error) {
	if len(image) < sector || len(image) > 1<<20 || binary.LittleEndian.Uint32(image[64:]) != hybridMagic {
		return nil, fmt.Errorf("isolinux.bin is no ISOLINUX of syslinux 4 or later")
	}
	b := make([]byte, roundUp(len(image), 4))
	copy(b, image)
	sum := uint32(0)
	for i := 64; i < len(b); i += 4 {
		sum += binary.LittleEndian.Uint32(b[i:])
	}
	clear(b[8:64])
	for i, n := range [...]uint32{descriptor, at, uint32(len(image)), sum} {
		binary.LittleEndian.PutUint32(b[8+4*i:], n)
	}
	return b[:len(image)], nil
}

// mbrCode is how long the program in a hybrid MBR is: behind it is what it reads.
const mbrCode = 432

// hybridMBR makes the image bootable from a USB stick too. BIOS runs code,
// isohdpfx.bin of ISOLINUX, which starts the isolinux.bin at a sector; "" leaves it
// out. UEFI looks for a partition of type 0xef. The partitions do not overlap:
// firmware may refuse a table whose partitions do (EDK II,
// PartitionValidMbr). volume and esp are sizes in bytes; the system partition is last.
func hybridMBR(code []byte, isolinux, id uint32, volume, esp int64) ([]byte, error) {
	const unit = 512
	b := make([]byte, unit)
	if len(code) > mbrCode {
		return nil, fmt.Errorf("isohdpfx.bin has %d bytes, and an MBR has room for %d", len(code), mbrCode)
	}
	if len(code) > 0 {
		copy(b, code)
		binary.LittleEndian.PutUint32(b[432:], isolinux*(sector/unit))
	}
	binary.LittleEndian.PutUint32(b[440:], id)
	put := func(i int, active, kind byte, start, size int64) {
		p := b[446+16*i:]
		p[0], p[4] = active, kind
		copy(p[1:4], "\xfe\xff\xff") // by LBA, not by cylinders
		copy(p[5:8], "\xfe\xff\xff")
		binary.LittleEndian.PutUint32(p[8:], uint32(start/unit))
		binary.LittleEndian.PutUint32(p[12:], uint32(size/unit))
	}
	put(0, 0x80, 0x17, 0, volume-esp) // the type that isohybrid uses
	if esp > 0 {
		put(1, 0, platformEFI, volume-esp, esp)
	}
	b[510], b[511] = 0x55, 0xaa
	return b, nil
}
