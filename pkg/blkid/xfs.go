package blkid

import "encoding/binary"

// probeXFS reads struct xfs_dsb (fs/xfs/libxfs/xfs_format.h), and checks what xfs_verify_sb of libblkid does and, in
// version 5, the checksum.
func probeXFS(d *device, sb *Superblock, _ int64) bool {
	p := d.at(0, 512)
	if p == nil {
		return false
	}
	b, be := (*[512]byte)(p), binary.BigEndian
	blockSize, blocks := uint64(be.Uint32(b[4:])), be.Uint64(b[8:])
	extent := uint64(be.Uint32(b[80:])) * blockSize // of the realtime section
	groupBlocks, groups := uint64(be.Uint32(b[84:])), uint64(be.Uint32(b[88:]))
	sectorSize, inodeSize := uint64(be.Uint16(b[102:])), uint64(be.Uint16(b[104:]))
	blockLog, sectorLog, inodeLog, inodesPerBlockLog := b[120], b[121], b[122], b[123]
	switch {
	case !log2(sectorSize, sectorLog, 9, 15), !log2(blockSize, blockLog, 9, 16), !log2(inodeSize, inodeLog, 8, 11),
		blockLog-inodeLog != inodesPerBlockLog,
		extent < 4<<10, extent > 1<<30,
		b[127] > 100, // percentage of the space for inodes
		groups == 0, blocks == 0, blocks > groups*groupBlocks, blocks < (groups-1)*groupBlocks+64:
		return false
	}
	if be.Uint16(b[100:])&0xf == 5 {
		sector := d.at(0, int(sectorSize))
		if sector == nil || ^crcWithout(crc32c, sector, 224) != binary.LittleEndian.Uint32(b[224:]) {
			return false
		}
	}
	sb.UUID = uuid(b[32:48])
	sb.Label = text(b[108:120])
	sb.BlockSize = int64(sectorSize)
	sb.Size = product(blocks, blockSize)
	return true
}

// log2 reports whether n is 1<<log, and log from lowest to highest.
func log2(n uint64, log, lowest, highest byte) bool {
	return log >= lowest && log <= highest && n == 1<<log
}
