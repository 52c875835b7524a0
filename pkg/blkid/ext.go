package blkid

import "encoding/binary"

// Features that tell the members of the ext family apart (fs/ext4/ext4.h).
const (
	compatHasJournal    = 0x4
	incompatRecover     = 0x4
	incompatJournalDev  = 0x8
	incompatSixtyFour   = 0x80
	incompatOfExt3      = 0x2 | incompatRecover | 0x10 // filetype, recover, meta_bg
	roCompatOfExt3      = 0x1 | 0x2 | 0x4              // sparse_super, large_file, btree_dir
	roCompatMetadataSum = 0x400
)

// probeExt reads struct ext4_super_block (fs/ext4/ext4.h). ext3 is what has a journal and no feature of ext4, and ext2
// what has neither. An external journal is "jbd", and nothing to mount.
func probeExt(d *device, sb *Superblock, _ int64) bool {
	p := d.at(1024, 1024)
	if p == nil {
		return false
	}
	b, le := (*[1024]byte)(p), binary.LittleEndian
	compat, incompat, roCompat := le.Uint32(b[0x5c:]), le.Uint32(b[0x60:]), le.Uint32(b[0x64:])
	if roCompat&roCompatMetadataSum != 0 && crc(crc32c, ^uint32(0), b[:0x3fc]) != le.Uint32(b[0x3fc:]) {
		return false
	}
	switch {
	case incompat&incompatJournalDev != 0:
		sb.Type, sb.Usage = "jbd", Other
	case incompat&^incompatOfExt3 != 0 || roCompat&^roCompatOfExt3 != 0:
		// ext4
	case compat&compatHasJournal != 0:
		sb.Type = "ext3"
	case incompat&incompatRecover == 0:
		sb.Type = "ext2"
	default:
		return false // a journal to recover, and no journal
	}

	sb.UUID = uuid(b[0x68:0x78])
	sb.Label = text(b[0x78:0x88])
	sb.Version = version(le.Uint32(b[0x4c:]), uint32(le.Uint16(b[0x3e:])))
	if shift := le.Uint32(b[0x18:]); shift < 32 {
		sb.BlockSize = int64(uint32(1024) << shift)
	}
	blocks := uint64(le.Uint32(b[0x04:]))
	if incompat&incompatSixtyFour != 0 {
		blocks |= uint64(le.Uint32(b[0x150:])) << 32
	}
	sb.Size = product(blocks, uint64(sb.BlockSize))
	return true
}
