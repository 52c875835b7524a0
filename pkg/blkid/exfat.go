package blkid

import "encoding/binary"

// probeExFAT reads the boot sector and the label of an exFAT (Microsoft exFAT specification, chapters 3 and 7.3), and
// verifies what the kernel does before it mounts one.
func probeExFAT(d *device, sb *Superblock, _ int64) bool {
	p := d.at(0, 512)
	if p == nil {
		return false
	}
	b, le := (*[512]byte)(p), binary.LittleEndian
	if b[510] != 0x55 || b[511] != 0xaa || !zero(b[11:64]) {
		return false
	}
	shift, perCluster := b[108], b[109]
	if shift < 9 || shift > 12 || perCluster > 25-shift {
		return false
	}
	// Eleven sectors, and their sum in the twelfth. What changes in a mounted file system is not in it.
	boot := d.at(0, 12<<shift)
	if boot == nil {
		return false
	}
	var sum uint32
	for i, c := range boot[:11<<shift] {
		if i != 106 && i != 107 && i != 112 {
			sum = sum<<31 + sum>>1 + uint32(c)
		}
	}
	if sum != le.Uint32(boot[11<<shift:]) {
		return false
	}

	sb.BlockSize = 1 << shift
	sb.Size = product(le.Uint64(b[72:]), uint64(sb.BlockSize))
	sb.UUID = id(b[100:104], serialOrder, upper)
	sb.Version = version(uint32(b[105]), uint32(b[104]))
	chain := clusters{
		fat:  int64(le.Uint32(b[80:])) << shift,
		heap: int64(le.Uint32(b[88:])) << shift,
		size: sb.BlockSize << perCluster,
		end:  0x0ffffff7,
		mask: ^uint32(0),
	}
	chain.scan(d, le.Uint32(b[96:]), func(entry []byte) bool {
		if entry[0] == 0x83 {
			sb.Label = text16(entry[2:2+min(2*int(entry[1]), 22)], utf16LE)
		}
		return entry[0] == 0x83 || entry[0] == 0
	})
	return true
}
