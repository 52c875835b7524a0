package blkid

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// mbrEntry is one of the four entries of 16 bytes of a boot record, with start and size in sectors.
type mbrEntry struct {
	active, kind byte
	start, size  int64
}

// mbrEntries are the four entries of a boot record.
//
//go:noinline
func mbrEntries(b *[512]byte) (entries [4]mbrEntry) {
	for i := range entries {
		e := (*[16]byte)(b[446+16*i:])
		entries[i] = mbrEntry{
			active: e[0],
			kind:   e[4],
			start:  int64(binary.LittleEndian.Uint32(e[8:])),
			size:   int64(binary.LittleEndian.Uint32(e[12:])),
		}
	}
	return entries
}

func (e mbrEntry) extended() bool {
	return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85
}

// bootSector returns the first sector if that can be an MBR, and neither the boot sector of a file system nor the
// protective MBR of a GPT. The checks are those of libblkid and of the kernel (block/partitions/msdos.c).
func bootSector(d *device) *[512]byte {
	p := d.at(0, 512)
	if p == nil {
		return nil
	}
	b := (*[512]byte)(p)
	if b[510] != 0x55 || b[511] != 0xaa || string(b[:4]) == "\xc9\xc2\xd4\xc1" /* AIX */ {
		return nil
	}
	for _, e := range mbrEntries(b) {
		if e.active&0x7f != 0 || e.kind == 0xee {
			return nil
		}
	}
	if _, ok := parseFAT(b); ok {
		return nil
	}
	system := string(b[3:11])
	if system == "NTFS    " && probeNTFS(d, new(Superblock), 0) || system == "EXFAT   " && probeExFAT(d, new(Superblock), 0) {
		return nil
	}
	return b
}

// hasPartitions reports whether an MBR is more than a signature.
func hasPartitions(mbr *[512]byte) bool {
	for _, e := range mbrEntries(mbr) {
		if e.size != 0 {
			return true
		}
	}
	return false
}

// readDOS reads a DOS partition table as libblkid and the kernel do. Partitions without a disk ID have no UUID.
func (t *tableReader) readDOS() bool {
	mbr := bootSector(t.d)
	if mbr == nil {
		return false
	}
	t.Table = Table{Type: "dos", UUID: id(mbr[440:444], wordOrder, lower)}
	entries := mbrEntries(mbr)
	for i, e := range entries {
		if e.size != 0 {
			t.add(i+1, e.start, e)
		}
	}
	next := 5
	for _, e := range entries {
		if e.size != 0 && e.extended() && e.start != 0 {
			next = t.addLogical(next, e)
		}
	}
	return true
}

func (t *tableReader) add(number int, start int64, e mbrEntry) {
	p := Partition{
		Number: number,
		Start:  start * t.sectorSize,
		Size:   e.size * t.sectorSize,
		Type:   "0x" + strconv.FormatUint(uint64(e.kind), 16),
		Flags:  uint64(e.active),
	}
	if t.UUID != "" {
		p.UUID = t.UUID + "-" + id([]byte{byte(number)}, "\x00", lower)
	}
	t.Parts = append(t.Parts, p)
}

// addLogical follows the chain of boot records in an extended partition. Each has a partition, relative to itself, and a
// link to the next record, relative to the extended partition. The chain may have a loop. Numbers go on from next.
func (t *tableReader) addLogical(next int, extended mbrEntry) int {
	record, recordSize := extended.start, extended.size
	for range 2 * maxPartitions {
		p := t.d.at(record*t.sectorSize, 512)
		if p == nil || p[510] != 0x55 || p[511] != 0xaa {
			return next
		}
		entries := mbrEntries((*[512]byte)(p))
		for i, e := range entries {
			start := record + e.start
			if e.size == 0 || e.extended() || t.has(start) {
				continue
			}
			// OS/2 uses all four entries; with others the last two may be garbage.
			if i >= 2 && (e.start+e.size > recordSize || start < extended.start || start+e.size > extended.start+extended.size) {
				continue
			}
			if next >= maxPartitions {
				return next
			}
			t.add(next, start, e)
			next++
		}

		link := slices.IndexFunc(entries[:], func(e mbrEntry) bool { return e.size != 0 && e.extended() && e.start != 0 })
		if link < 0 {
			return next
		}
		record, recordSize = extended.start+entries[link].start, entries[link].size
	}
	return next
}

// has reports whether a partition begins at the sector start.
func (t *tableReader) has(start int64) bool {
	for i := range t.Parts {
		if t.Parts[i].Start == start*t.sectorSize {
			return true
		}
	}
	return false
}
