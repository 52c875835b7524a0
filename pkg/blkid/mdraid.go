package blkid

import "encoding/binary"

const (
	raidMagic    = 0xa92b4efc
	raidReserved = 64 << 10 // bytes at the end of the device, for version 0.90
)

// probeRAID looks for an md superblock of version 0.90 or 1.0 at the end of the device, of 1.1 at its start and of 1.2
// at 4 KiB.
func probeRAID(d *device, sb *Superblock, _ int64) bool {
	if d.size > raidReserved {
		if probeRAID0(d, sb, d.size&^(raidReserved-1)-raidReserved) {
			return true
		}
		if probeRAID1(d, sb, d.size&^0xfff-0x2000, "1.0") {
			return true
		}
	}
	return probeRAID1(d, sb, 0, "1.1") || probeRAID1(d, sb, 0x1000, "1.2")
}

// probeRAID0 reads struct mdp_superblock_s (include/uapi/linux/raid/md_p.h), all words of 32 bits in the byte order of the
// machine that wrote it.
func probeRAID0(d *device, sb *Superblock, off int64) bool {
	p := d.at(off, 64)
	if p == nil {
		return false
	}
	b := (*[64]byte)(p)
	if binary.LittleEndian.Uint32(b[:]) == raidMagic {
		swapped := *b
		for i := range swapped {
			swapped[i] = b[i^3]
		}
		b = &swapped
	}
	be := binary.BigEndian
	size := int64(be.Uint32(b[32:])) << 10
	if be.Uint32(b[:]) != raidMagic || d.size < size+raidReserved || off < size || partitioned(d, off-size, off+raidReserved) {
		return false
	}
	minor := be.Uint32(b[8:])
	if minor < 90 { // which had 32 bits
		clear(b[52:64])
	}
	sb.UUID = uuid(append(b[20:24:24], b[52:64]...))
	sb.Version = version(be.Uint32(b[4:]), minor) + "." + version(be.Uint32(b[12:]), 0)
	sb.Version = sb.Version[:len(sb.Version)-2]
	return true
}

// partitioned reports whether the bytes from start to end are all in one partition, as is the end of a disk in its last
// partition: then the superblock there is that of the partition (blkid_probe_is_covered_by_pt).
func partitioned(d *device, start, end int64) bool {
	for _, sectorSize := range [...]int64{512, 4096} {
		table, err := ReadTable(d.r, d.size, sectorSize)
		if err != nil {
			continue
		}
		covered := false
		for _, p := range table.Parts {
			if p.Start+p.Size > d.size {
				return false
			}
			covered = covered || start >= p.Start && end <= p.Start+p.Size
		}
		return covered
	}
	return false
}

// probeRAID1 reads struct mdp_superblock_1 (include/uapi/linux/raid/md_p.h), and verifies its checksum as calc_sb_1_csum
// (drivers/md/md.c) makes it.
func probeRAID1(d *device, sb *Superblock, off int64, version string) bool {
	p := d.at(off, 4096)
	if p == nil {
		return false
	}
	b, le := (*[4096]byte)(p), binary.LittleEndian
	devices := le.Uint32(b[220:])
	if le.Uint32(b[:]) != raidMagic || le.Uint32(b[4:]) != 1 || le.Uint64(b[144:]) != uint64(off)/512 || devices > (4096-256)/2 {
		return false
	}
	// Words of 32 bits, of which the last one may be half.
	words := *b
	clear(words[216:220])
	clear(words[256+2*devices:])
	var sum uint64
	for i := 0; i < len(words); i += 4 {
		sum += uint64(le.Uint32(words[i:]))
	}
	if uint32(sum)+uint32(sum>>32) != le.Uint32(b[216:]) {
		return false
	}
	sb.UUID = uuid(b[16:32])
	sb.SubUUID = uuid(b[168:184])
	sb.Label = text(b[32:64])
	sb.Version = version
	return true
}
