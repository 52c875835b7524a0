package blkid

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"
)

// udfMaxDescriptors is how many blocks of the volume descriptor sequence are read; there are usually 16.
const udfMaxDescriptors = 16

// probeUDF reads a UDF (ECMA-167 and OSTA UDF 2.60): the recognition sequence, the anchor, and from the volume descriptor
// sequence the logical volume's label and the UUID in the identifier of the volume set.
func probeUDF(d *device, sb *Superblock, _ int64) bool {
	const primary, logical, terminator = 1, 6, 8 // tags of descriptors (ECMA-167, 3/7.2.1)
	blockSize, anchor := udfAnchor(d)
	if anchor == nil {
		return false
	}
	sb.BlockSize = blockSize
	le := binary.LittleEndian
	location := le.Uint32(anchor[20:])
	off := int64(location) * blockSize
	n := min(int64(le.Uint32(anchor[16:]))/blockSize, udfMaxDescriptors, (d.size-off)/blockSize)
	sequence := d.at(off, int(n*blockSize))
	if sequence == nil {
		return false
	}
	for ; len(sequence) > 0; sequence, location = sequence[blockSize:], location+1 {
		b := (*[512]byte)(sequence)
		tag := le.Uint16(b[:])
		if tag == 0 || tag == terminator || le.Uint32(b[12:]) != location {
			break
		}
		switch {
		case tag == primary && sb.UUID == "" && compressedUnicode(b[200:264]):
			sb.UUID = udfUUID(dstring(b[72:200]))
		case tag == logical:
			if sb.Version == "" && string(b[217:237]) == "*OSTA UDF Compliant\x00" {
				// A decimal number in hexadecimal: 0x0201 is 2.01.
				sb.Version = strconv.Itoa(int(b[241])) + "." + id(b[240:241], "\x00", lower)
			}
			if sb.Label == "" && compressedUnicode(b[20:84]) {
				sb.Label = text(dstring(b[84:212]))
			}
		}
	}
	return true
}

// udfAnchor finds the block size and with it the anchor volume descriptor pointer, which is in block 256, or in 512 on a
// disc that has not been closed. It has its own number.
func udfAnchor(d *device) (blockSize int64, anchor *[512]byte) {
	small, large := udfRecognized(d, 2048), udfRecognized(d, 4096)
	if !small && !large {
		return 0, nil
	}
	for off := int64(256 * 512); off <= 512*4096; off *= 2 {
		p := d.at(off, 512)
		if p == nil {
			return 0, nil
		}
		b, le := (*[512]byte)(p), binary.LittleEndian
		block := int64(le.Uint32(b[12:]))
		if le.Uint16(b[:]) != 2 || block != 256 && block != 512 {
			continue
		}
		if blockSize = off / block; blockSize >= 512 && blockSize <= 2048 && small || blockSize == 4096 && large {
			return blockSize, b
		}
	}
	return 0, nil
}

// udfRecognized goes through the volume recognition sequence (ECMA-167, 2/8.3.1), which ends with the first block that is
// no descriptor. A descriptor has 2048 bytes, or a block if that is larger.
func udfRecognized(d *device, step int64) bool {
	for i := int64(0); i < 64; i++ {
		switch string(d.at(0x8001+i*step, 5)) {
		case "NSR02", "NSR03":
			return true
		case "BEA01", "BOOT2", "CD001", "CDW02", "TEA01":
		default:
			return false
		}
	}
	return false
}

// compressedUnicode reports whether a charspec (ECMA-167, 1/7.2.1) is the one that UDF has.
func compressedUnicode(b []byte) bool {
	return string(b[:25]) == "\x00OSTA Compressed Unicode\x00"
}

// dstring decodes a field of 128 bytes (UDF 2.60, 2.1.3) to UTF-8: a compression ID, which is the number of bits of a
// character, then characters, and at the end the length of both.
func dstring(b []byte) (out []byte) {
	chars := b[1:max(1, min(int(b[127]), 127))]
	switch b[0] {
	case 8:
		for _, c := range chars {
			out = utf8.AppendRune(out, rune(c))
		}
	case 16:
		for len(chars) > 1 {
			var r rune
			r, chars = unit16(chars, utf16BE)
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// udfUUID makes sixteen digits of the identifier of a volume set, the first eight of which should be a time and all sixteen
// unique (UDF 2.60, 2.2.2.5). Like gen_uuid_from_volset_id of libblkid it writes the bytes of what is no digit in hex.
func udfUUID(set []byte) string {
	end := 0
	for end < len(set) && set[end] != 0 {
		_, n := utf8.DecodeRune(set[end:])
		if end+n > 16 {
			break
		}
		end += n
	}
	if end < 8 {
		return ""
	}
	var b [16]byte
	copy(b[:], set[:end])
	digits := 0
	for digits < 16 && strings.IndexByte(lower+upper[10:], b[digits]) >= 0 {
		digits++
	}
	const four = "\x00\x01\x02\x03"
	switch {
	case digits < 8:
		return id(b[:8], four+"\x04\x05\x06\x07", lower)
	case digits < 16:
		return strings.ToLower(string(b[:8])) + (id(b[8:12], four, lower) + "00000000")[:8]
	}
	return strings.ToLower(string(b[:]))
}
