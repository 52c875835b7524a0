package blkid

import "encoding/binary"

// directoryLimit is how many bytes of a root directory are searched for the volume's label, which is usually its first
// entry. It is 2048 entries.
const directoryLimit = 64 << 10

// clusters says where the clusters of a FAT32 or exFAT volume are.
type clusters struct {
	fat  int64  // offset in bytes of the table, with 4 bytes per cluster
	heap int64  // offset in bytes of cluster 2, the first one
	size int64  // bytes of one cluster
	end  uint32 // the first number that is no cluster's
	mask uint32 // the bits of an entry of the table that count
}

// scan gives the entries of 32 bytes of the directory that begins at a cluster to look, until that says that it is done.
func (c *clusters) scan(d *device, cluster uint32, look func(entry []byte) (done bool)) {
	for left := int64(directoryLimit); left > 0 && cluster >= 2 && cluster < c.end; left -= c.size {
		if scanEntries(d, c.heap+int64(cluster-2)*c.size, min(c.size, left), look) {
			return
		}
		next := d.at(c.fat+int64(cluster)*4, 4)
		if next == nil {
			return
		}
		cluster = binary.LittleEndian.Uint32(next) & c.mask
	}
}

// scanEntries gives the entries in n bytes at off to look. It reports whether there is no need to go on.
func scanEntries(d *device, off, n int64, look func(entry []byte) (done bool)) bool {
	for n = min(n, d.size-off); n > 0; off, n = off+4096, n-4096 {
		b := d.at(off, int(min(n, 4096)))
		if b == nil {
			return true
		}
		for ; len(b) >= 32; b = b[32:] {
			if look(b[:32]) {
				return true
			}
		}
	}
	return false
}
