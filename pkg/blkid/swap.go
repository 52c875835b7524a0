package blkid

import "encoding/binary"

// swapMarks are what ends the first page of a swap area (union swap_header, include/linux/swap.h), or takes the place of
// that in one that holds a hibernated system (kernel/power/swap.c; the others are uswsusp's).
var swapMarks = [...]struct{ mark, version string }{
	{"SWAPSPACE2", "1"}, {"SWAP-SPACE", "0"},
	{"S1SUSPEND", "s1suspend"}, {"S2SUSPEND", "s2suspend"}, {"ULSUSPEND", "ulsuspend"}, {"LINHIB0001", "linhib0001"},
}

// probeSwap reads the header of a swap area with pages of 4 to 64 KiB. A hibernated system is "swsuspend", and must be
// neither mounted nor swapped on.
func probeSwap(d *device, sb *Superblock, _ int64) bool {
	if string(d.at(0, 8)) == "\xed\xc3\x02\xe9\x98\x56\xe5\x0c" {
		sb.Version = "tuxonice"
		return swapHeader(d, sb, 0)
	}
	for page := int64(4 << 10); page <= 64<<10; page *= 2 {
		for _, m := range swapMarks {
			if string(d.at(page-10, len(m.mark))) == m.mark {
				sb.Version = m.version
				// Version 0 has neither UUID nor label.
				return m.version == "0" || swapHeader(d, sb, uint64(page))
			}
		}
	}
	return false
}

// swapHeader reads the part of the header that begins at 1 KiB.
func swapHeader(d *device, sb *Superblock, page uint64) bool {
	p := d.at(1024, 256)
	if p == nil {
		return false
	}
	b := (*[256]byte)(p)
	version, last := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
	if version != 1 {
		version, last = binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint32(b[4:])
	}
	if sb.Version != "1" {
		sb.Type = "swsuspend"
	} else if version != 1 || last == 0 {
		return false
	}
	if version == 1 {
		sb.Size = product(uint64(last)+1, page)
	}
	if zero(b[172:180]) { // else it is garbage and no padding
		sb.UUID = uuid(b[12:28])
		sb.Label = text(b[28:44])
	}
	return true
}
