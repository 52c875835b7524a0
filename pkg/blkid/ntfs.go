package blkid

import "encoding/binary"

// probeNTFS reads the boot sector and the file $Volume of an NTFS (struct NTFS_BOOT, MFT_REC and ATTRIB, fs/ntfs3/ntfs.h).
func probeNTFS(d *device, sb *Superblock, _ int64) bool {
	p := d.at(0, 512)
	if p == nil {
		return false
	}
	b, le := (*[512]byte)(p), binary.LittleEndian
	sectorSize, perCluster := uint64(le.Uint16(b[11:])), uint64(b[13])
	if perCluster >= 240 && perCluster <= 249 {
		perCluster = 1 << (256 - perCluster)
	} else if perCluster > 128 {
		return false
	}
	cluster := sectorSize * perCluster
	// What has a meaning in a FAT is zero here.
	if sectorSize < 256 || sectorSize > 4096 || perCluster == 0 || perCluster&(perCluster-1) != 0 || cluster > 2<<20 ||
		!zero(b[14:21]) || !zero(b[22:24]) || !zero(b[32:36]) {
		return false
	}
	record := uint64(b[64]) * cluster
	if size := int8(b[64]); size < 0 {
		record = 1 << (-int(size) & 63)
	}
	sectors, table := le.Uint64(b[40:]), le.Uint64(b[48:])
	// ntfs_init_from_boot of ntfs3: no kernel takes records of another size.
	if record < 512 || record > 4096 || table > sectors/perCluster || le.Uint64(b[56:]) > sectors/perCluster {
		return false
	}

	// The master file table begins with the records of $MFT, $MFTMirr, $LogFile and $Volume.
	records := d.at(product(table, cluster), int(4*record))
	if records == nil || string(records[:4]) != "FILE" || string(records[3*record:3*record+4]) != "FILE" {
		return false
	}
	sb.Label = ntfsLabel(records[3*record:])
	sb.BlockSize = int64(sectorSize)
	sb.Size = product(sectors, sectorSize)
	sb.UUID = id(b[72:80], quadOrder, upper)
	return true
}

// ntfsLabel is the attribute $VOLUME_NAME of a record of the master file table.
func ntfsLabel(record []byte) string {
	const volumeName, end = 0x60, 0xffffffff
	le := binary.LittleEndian
	for off := int(le.Uint16(record[20:])); off+22 <= len(record); {
		attribute := record[off:]
		b := (*[22]byte)(attribute)
		kind, length := le.Uint32(b[:]), le.Uint32(b[4:])
		if kind == volumeName {
			value, n := uint64(le.Uint16(b[20:])), uint64(le.Uint32(b[16:]))
			if value+n > uint64(len(attribute)) {
				return ""
			}
			return text16(attribute[value:value+n], utf16LE)
		}
		if kind == end || length == 0 || length > uint32(len(attribute)) {
			return ""
		}
		off += int(length)
	}
	return ""
}
