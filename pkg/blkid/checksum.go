package blkid

// The polynomials in reversed form: that of Ethernet, and Castagnoli's.
const (
	crc32  = 0xedb88320
	crc32c = 0x82f63b78
)

// crc goes on from sum over p and inverts nothing: whoever wants that does it. The package hash/crc32 is faster and 16 KB
// of init; the most that is summed here is usually the 16 KB of a partition table.
//
//go:noinline
func crc(polynomial, sum uint32, p []byte) uint32 {
	var table [16]uint32
	for i := range table {
		c := uint32(i)
		for range 4 {
			c = c>>1 ^ polynomial&-(c&1)
		}
		table[i] = c
	}
	for _, b := range p {
		sum ^= uint32(b)
		sum = sum>>4 ^ table[sum&15]
		sum = sum>>4 ^ table[sum&15]
	}
	return sum
}

// crcWithout is crc with the four bytes of the checksum itself, at offset skip, taken as zero.
func crcWithout(polynomial uint32, p []byte, skip int) uint32 {
	sum := crc(polynomial, ^uint32(0), p[:skip])
	sum = crc(polynomial, sum, make([]byte, 4))
	return crc(polynomial, sum, p[skip+4:])
}
