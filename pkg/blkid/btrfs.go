package blkid

import "encoding/binary"

// probeBtrfs reads struct btrfs_super_block (include/uapi/linux/btrfs_tree.h) at 64 KiB. Of its checksums the usual one,
// CRC-32C, is verified.
func probeBtrfs(d *device, sb *Superblock, _ int64) bool {
	p := d.at(0x10000, 4096)
	if p == nil {
		return false
	}
	b, le := (*[4096]byte)(p), binary.LittleEndian
	if le.Uint16(b[196:]) == 0 && ^crc(crc32c, ^uint32(0), b[32:]) != le.Uint32(b[:]) {
		return false
	}
	sb.UUID = uuid(b[32:48])
	sb.SubUUID = uuid(b[267:283])
	sb.Label = text(b[299:555])
	sb.BlockSize = int64(le.Uint32(b[144:]))
	sb.Size = product(le.Uint64(b[209:]), 1) // of this device
	return true
}
