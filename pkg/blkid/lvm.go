package blkid

import "encoding/binary"

// probeLVM reads struct label_header and pv_header (lib/label/label.h and lib/format_text/layout.h of LVM2) in one of the
// first four sectors of 512 bytes.
func probeLVM(d *device, sb *Superblock, magic int64) bool {
	sector := magic / 512
	p := d.at(sector*512, 512)
	if p == nil || string(p[:8]) != "LABELONE" {
		return false
	}
	b, le := (*[512]byte)(p), binary.LittleEndian
	if le.Uint64(b[8:]) != uint64(sector) || crc(crc32, 0xf597a6cf, b[20:]) != le.Uint32(b[16:]) {
		return false
	}
	// pvcreate clears the first sectors: partitions there have been made after it (blkid_probe_use_wiper).
	if mbr := bootSector(d); mbr != nil && hasPartitions(mbr) {
		return false
	}
	sb.Version = "LVM2 001"
	if pv := b[32:64]; !zero(pv) {
		out := make([]byte, 0, 38)
		for i, c := range pv {
			if i == 6 || i > 6 && i <= 26 && i%4 == 2 {
				out = append(out, '-')
			}
			out = append(out, c)
		}
		sb.UUID = string(out)
	}
	return true
}
