package blkid

import "encoding/binary"

// probeSquash reads struct squashfs_super_block (fs/squashfs/squashfs_fs.h). No kernel can mount what is older than
// version 4, which libblkid calls "squashfs3".
func probeSquash(d *device, sb *Superblock, _ int64) bool {
	p := d.at(0, 96)
	if p == nil {
		return false
	}
	b, le := (*[96]byte)(p), binary.LittleEndian
	major := uint32(le.Uint16(b[28:]))
	sb.Version = version(major, uint32(le.Uint16(b[30:])))
	if major < 4 {
		sb.Type, sb.BlockSize = "squashfs3", 1024
	} else {
		sb.Size = product(le.Uint64(b[40:]), 1)
	}
	return true
}
