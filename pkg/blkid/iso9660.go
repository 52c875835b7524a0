package blkid

import (
	"encoding/binary"
	"unicode/utf8"
)

// isoDescriptor is as much of a volume descriptor as is read.
type isoDescriptor = [847]byte

// probeISO reads the volume descriptors of ISO 9660 (ECMA-119, chapter 8). The date of the last change is the UUID, or
// that of the creation.
func probeISO(d *device, sb *Superblock, _ int64) bool {
	const primary, supplementary, terminator = 1, 2, 255
	var volume, joliet *isoDescriptor
	for off := int64(0x8000); off < 0x8000+16*2048 && (volume == nil || joliet == nil); off += 2048 {
		p := d.at(off, len(isoDescriptor{}))
		if p == nil || p[0] == terminator {
			break
		}
		b := (*isoDescriptor)(p)
		switch {
		case b[0] == primary && volume == nil:
			volume = b
		case b[0] == supplementary && joliet == nil:
			switch string(b[88:91]) { // UCS-2, in one of three levels
			case "%/@", "%/C", "%/E":
				joliet = b
			}
		}
	}
	if volume == nil {
		return false
	}

	sb.BlockSize = 2048
	le := binary.LittleEndian
	sb.Size = product(uint64(le.Uint32(volume[80:])), uint64(le.Uint16(volume[128:])))
	sb.UUID = isoDate(volume[830:847])
	if sb.UUID == "" {
		sb.UUID = isoDate(volume[813:830])
	}
	sb.Label = text(volume[40:72])
	if joliet != nil {
		sb.Version = "Joliet Extension"
		sb.Label = jolietLabel(joliet[40:72], volume[40:72])
	}
	return true
}

// isoDate makes "2024-01-31-12-00-00-00" of sixteen digits and an offset from UTC. A date that is not set is all '0', or
// all zero.
//
//go:noinline
func isoDate(b []byte) string {
	if string(b) == "0000000000000000\x00" || zero(b[:16]) {
		return ""
	}
	out := make([]byte, 0, 22)
	for i, c := range b[:16] {
		if i >= 4 && i%2 == 0 {
			out = append(out, '-')
		}
		out = append(out, c)
	}
	return text(out)
}

// jolietLabel puts a label together from both descriptors. The one of Joliet has 16 characters of UTF-16; the other one has
// 32 of a subset of ASCII, with '_' for others and often all letters large. If they do not tell the same name, that of
// Joliet holds.
func jolietLabel(joliet, volume []byte) string {
	var out []byte
	rest := joliet
	for _, c := range volume {
		r := rune(c)
		if len(rest) > 0 {
			var j rune
			j, rest = unit16(rest, utf16BE)
			switch {
			case c == '_' || large(r) == large(j) && large(r) == r:
				r = j
			case j != '_' && large(r) != large(j):
				return text16(joliet, utf16BE)
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return text(out)
}

// large makes a letter of ASCII large.
func large(r rune) rune {
	if r >= 'a' && r <= 'z' {
		r -= 'a' - 'A'
	}
	return r
}
