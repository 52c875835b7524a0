package blkid

import (
	"encoding/binary"
	"strconv"
)

// probeLUKS reads the header of LUKS1 (LUKS1 On-Disk Format Specification 1.2.3) or LUKS2 (1.1.0), or the second one of
// LUKS2 if the first is damaged: its place is that of the usual sizes of a header, 16 to 64 KiB.
func probeLUKS(d *device, sb *Superblock, magic int64) bool {
	p := d.at(magic, 512)
	if p == nil {
		return false
	}
	b, be := (*[512]byte)(p), binary.BigEndian
	version := be.Uint16(b[6:])
	// A header that is a copy of another place is none (luks_valid, util-linux 2.41).
	if version == 2 && be.Uint64(b[256:]) != uint64(magic) {
		return false
	}
	sb.Version = strconv.Itoa(int(version))
	if version == 1 || version == 2 {
		sb.UUID = text(b[168:208])
	}
	if version == 2 {
		sb.Label = text(b[24:72])
	}
	return true
}
