package blkid

import "encoding/binary"

// probeEROFS reads struct erofs_super_block (fs/erofs/erofs_fs.h) at 1 KiB. The checksum covers the rest of the first
// block, or the superblock's block if blocks are that small (erofs_superblock_csum_verify).
func probeEROFS(d *device, sb *Superblock, _ int64) bool {
	p := d.at(1024, 128)
	if p == nil {
		return false
	}
	b, le := (*[128]byte)(p), binary.LittleEndian
	shift := b[12]
	if shift < 9 || shift > 16 {
		return false
	}
	sb.BlockSize = 1 << shift
	if le.Uint32(b[8:])&1 != 0 {
		n := 1 << shift
		if n > 1024 {
			n -= 1024
		}
		covered := d.at(1024, n)
		if covered == nil || crcWithout(crc32c, covered, 4) != le.Uint32(b[4:]) {
			return false
		}
	}
	sb.UUID = uuid(b[48:64])
	sb.Label = text(b[64:80])
	sb.Size = int64(le.Uint32(b[36:])) << shift
	return true
}
