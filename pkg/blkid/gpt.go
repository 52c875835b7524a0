package blkid

import "encoding/binary"

const (
	gptEntrySize = 128
	gptEntries   = 8192 // the most that are read: 1 MiB
	gptChunk     = 16 << 10
)

// readGPT reads a GUID partition table (UEFI 2.10, chapter 5.3): the protective MBR must be there, and then one of the
// two headers with its entries.
func (t *tableReader) readGPT() bool {
	mbr := t.d.at(0, 512)
	if mbr == nil || !protective((*[512]byte)(mbr)) {
		return false
	}
	if t.readGPTAt(1) {
		return true
	}
	t.Backup = true
	return t.readGPTAt(t.d.size/t.sectorSize - 1)
}

// protective reports whether an MBR says that the disk has a GPT.
func protective(mbr *[512]byte) bool {
	for _, e := range mbrEntries(mbr) {
		if e.kind == 0xee {
			return mbr[510] == 0x55 && mbr[511] == 0xaa
		}
	}
	return false
}

// readGPTAt reads the header in a sector and the entries that it points to.
func (t *tableReader) readGPTAt(sector int64) bool {
	sectorSize := t.sectorSize
	p := t.d.at(sector*sectorSize, int(sectorSize))
	if p == nil || string(p[:8]) != "EFI PART" {
		return false
	}
	h, le := (*[512]byte)(p), binary.LittleEndian
	headerSize := le.Uint32(h[12:])
	first, end := le.Uint64(h[40:]), le.Uint64(h[48:]) // the sectors that partitions may use
	count := le.Uint32(h[80:])
	switch {
	case headerSize < 92, headerSize > uint32(sectorSize), ^crcWithout(crc32, p[:headerSize], 16) != le.Uint32(h[16:]),
		le.Uint64(h[24:]) != uint64(sector), end < first, end >= uint64(t.d.size/sectorSize), first < uint64(sector) && uint64(sector) < end,
		count == 0, count > gptEntries, le.Uint32(h[84:]) != gptEntrySize:
		return false
	}

	t.Type, t.UUID, t.Parts = "gpt", id(h[56:72], guidOrder, lower), nil
	sum := ^uint32(0)
	off := product(le.Uint64(h[72:]), uint64(sectorSize))
	for number, left := 1, int(count)*gptEntrySize; left > 0; {
		chunk := t.d.at(off, min(left, gptChunk))
		if chunk == nil {
			return false
		}
		sum = crc(crc32, sum, chunk)
		off, left = off+int64(len(chunk)), left-len(chunk)
		for ; len(chunk) > 0; chunk, number = chunk[gptEntrySize:], number+1 {
			b := (*[gptEntrySize]byte)(chunk)
			start, stop := le.Uint64(b[32:]), le.Uint64(b[40:])
			if zero(b[:16]) || start < first || start > stop || stop > end || len(t.Parts) == maxPartitions {
				continue
			}
			t.Parts = append(t.Parts, Partition{
				Number: number,
				Start:  int64(start) * sectorSize,
				Size:   int64(stop-start+1) * sectorSize,
				Type:   id(b[:16], guidOrder, lower),
				UUID:   id(b[16:32], guidOrder, lower),
				Name:   text16(b[56:], utf16LE),
				Flags:  le.Uint64(b[48:]),
			})
		}
	}
	return ^sum == le.Uint32(h[88:])
}
