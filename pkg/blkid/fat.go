package blkid

import (
	"bytes"
	"encoding/binary"
)

// fat is what the boot sector of a FAT volume says (Microsoft FAT Specification, 2005; offsets BPB_*). Numbers are in
// sectors where nothing else is said.
type fat struct {
	sectorSize  uint32 // bytes
	perCluster  uint32
	reserved    uint32 // before the first table
	tables      uint32 // length of all of them
	perTable    uint32
	rootEntries uint32 // zero for FAT32
	sectors     uint32
	clusters    uint32 // how many there are
	is32        bool
}

// parseFAT checks the boot sector as fat_valid_superblock of libblkid does: a FAT has no magic to rely on.
func parseFAT(b *[512]byte) (f fat, ok bool) {
	le := binary.LittleEndian
	kind16, kind32 := b[0x36:0x3e], b[0x52:0x5a]
	switch {
	case string(kind16) == "JFS     ", string(kind16) == "HPFS    ": // which have a BPB as well
		return f, false
	case b[0x1fe] == 0x55 && b[0x1ff] == 0xaa:
	case string(kind16) == "FAT12   ", string(kind16) == "FAT16   ", string(kind16) == "FAT     ", string(kind16[:5]) == "MSDOS",
		string(kind32) == "FAT32   ", string(kind32[:5]) == "MSWIN":
	default:
		return f, false
	}

	f = fat{
		sectorSize:  uint32(le.Uint16(b[11:])),
		perCluster:  uint32(b[13]),
		reserved:    uint32(le.Uint16(b[14:])),
		rootEntries: uint32(le.Uint16(b[17:])),
		sectors:     uint32(le.Uint16(b[19:])),
		perTable:    uint32(le.Uint16(b[22:])),
	}
	media := b[21]
	if b[16] == 0 || f.reserved == 0 || media < 0xf8 && media != 0xf0 ||
		f.perCluster == 0 || f.perCluster&(f.perCluster-1) != 0 ||
		f.sectorSize < 512 || f.sectorSize > 4096 || f.sectorSize&(f.sectorSize-1) != 0 {
		return f, false
	}
	if f.sectors == 0 {
		f.sectors = le.Uint32(b[32:])
	}
	if f.perTable == 0 {
		f.perTable = le.Uint32(b[36:])
		f.is32 = f.perTable != 0
	}
	f.tables = f.perTable * uint32(b[16])
	// Like libblkid's, the arithmetic wraps, and the limit below finds that out.
	f.clusters = (f.sectors - (f.reserved + f.tables + (f.rootEntries*32+f.sectorSize-1)/f.sectorSize)) / f.perCluster
	limit := uint32(0xfff4)
	if f.is32 {
		limit = 0x0ffffff6
	}
	return f, f.clusters <= limit
}

// probeFAT reads a FAT12, FAT16 or FAT32. The label is the root directory's: that in the boot sector is often stale, and
// nothing uses it any more.
func probeFAT(d *device, sb *Superblock, _ int64) bool {
	p := d.at(0, 512)
	if p == nil {
		return false
	}
	b := (*[512]byte)(p)
	f, ok := parseFAT(b)
	if !ok {
		return false
	}
	le := binary.LittleEndian
	sb.BlockSize = int64(f.sectorSize)
	sb.Size = int64(f.sectors) * sb.BlockSize
	look := func(entry []byte) bool { return fatLabel(entry, &sb.Label) }

	switch {
	case f.is32:
		// The signatures of FSInfo may be missing, but not be others.
		if sector := int64(le.Uint16(b[0x30:])); sector != 0 {
			info := d.at(sector*sb.BlockSize, 512)
			if info == nil || !signed(info[:4], "RRaA") && !signed(info[:4], "RRdA") || !signed(info[484:488], "rrAa") {
				return false
			}
		}
		sb.Version, sb.UUID = "FAT32", id(b[0x43:0x47], serialOrder, upper)
		chain := clusters{
			fat:  int64(f.reserved) * sb.BlockSize,
			heap: (int64(f.reserved) + int64(f.tables)) * sb.BlockSize,
			size: int64(f.perCluster) * sb.BlockSize,
			end:  f.clusters + 2,
			mask: 0x0fffffff,
		}
		chain.scan(d, le.Uint32(b[0x2c:]), look)
	case f.perTable != 0:
		if f.clusters < 0xff4 {
			sb.Version = "FAT12"
		} else if f.clusters < 0xfff4 {
			sb.Version = "FAT16"
		}
		if b[0x26] == 0x28 || b[0x26] == 0x29 { // the extended boot signature
			sb.UUID = id(b[0x27:0x2b], serialOrder, upper)
		}
		root := (int64(f.reserved) + int64(f.tables)) * sb.BlockSize
		scanEntries(d, root, min(int64(f.rootEntries)*32, directoryLimit), look)
	}
	return true
}

// signed reports whether b is the signature or has never been written.
func signed(b []byte, signature string) bool {
	return string(b) == signature || zero(b)
}

// fatLabel takes the label from an entry of a root directory, and reports whether it was that or the end of the directory.
func fatLabel(entry []byte, label *string) bool {
	const volume, directory, long = 0x08, 0x10, 0x0f
	attributes := entry[11]
	cluster := entry[20] | entry[21] | entry[26] | entry[27]
	switch {
	case entry[0] == 0:
		return true
	case entry[0] == 0xe5, cluster != 0, attributes&0x3f == long, attributes&(volume|directory) != volume:
		return false // deleted, or a file
	}
	name := bytes.Clone(entry[:11])
	if name[0] == 0x05 {
		name[0] = 0xe5
	}
	*label = text(name)
	return true
}
