package blkid

import "encoding/binary"

// probeF2FS reads struct f2fs_super_block (include/linux/f2fs_fs.h) at 1 KiB. The checksum is there if its offset is.
func probeF2FS(d *device, sb *Superblock, _ int64) bool {
	p := d.at(1024, 3072)
	if p == nil {
		return false
	}
	b, le := (*[3072]byte)(p), binary.LittleEndian
	major, minor := le.Uint16(b[4:]), le.Uint16(b[6:])
	if major == 1 && minor == 0 {
		return true // the layout of version 1.0 is another one
	}
	if off := le.Uint32(b[0x20:]); off != 0 {
		if off > uint32(len(b)-4) || crc(crc32, 0xf2f52010, b[:off]) != le.Uint32(b[off:]) {
			return false
		}
	}
	sb.UUID = uuid(b[0x6c:0x7c])
	sb.Label = text16(b[0x7c:0x47c], utf16LE)
	sb.Version = version(uint32(major), uint32(minor))
	if shift := le.Uint32(b[0x10:]); shift < 32 {
		sb.BlockSize = 1 << shift
	}
	sb.Size = product(le.Uint64(b[0x24:]), uint64(sb.BlockSize))
	return true
}
