package blkid

// format is a row of the table of what Probe knows.
type format struct {
	name    string
	usage   Usage
	minSize int64 // bytes that a device must have

	// tolerant formats share a device with one another.
	tolerant bool

	// magics are the marks of the format, of which one is enough. Without any, probe is always called.
	magics []magic

	// probe checks and reads the superblock, whose magic is at the offset. It may change what name and usage say.
	probe func(d *device, sb *Superblock, magic int64) bool
}

// magic is a mark at a fixed offset in bytes from the start of the device.
type magic struct {
	offset int64
	bytes  string
}

// formats is in the order in which libblkid probes (idinfos in superblocks.c): where results exclude each other, the first
// one wins.
var formats = [...]format{
	{name: "linux_raid_member", usage: RAID, probe: probeRAID},
	{name: "LVM2_member", usage: RAID, probe: probeLVM, magics: []magic{
		{0x218, "LVM2 001"}, {0x018, "LVM2 001"}, {0x418, "LVM2 001"}, {0x618, "LVM2 001"},
	}},
	{name: "crypto_LUKS", usage: Crypto, probe: probeLUKS, magics: []magic{
		{0, "LUKS\xba\xbe"}, {0x4000, "SKUL\xba\xbe"}, {0x8000, "SKUL\xba\xbe"}, {0x10000, "SKUL\xba\xbe"},
	}},
	{name: "vfat", usage: Filesystem, probe: probeFAT, magics: []magic{{0x1fe, "\x55\xaa"}, {0x52, "FAT32   "}, {0x36, "FAT"}, {0x52, "MSWIN"}, {0x36, "MSDOS"}}},
	{name: "swap", usage: Other, minSize: 10 * 4096, probe: probeSwap},
	{name: "xfs", usage: Filesystem, probe: probeXFS, magics: []magic{{0, "XFSB"}}},
	{name: "ext4", usage: Filesystem, probe: probeExt, magics: []magic{{0x438, "\x53\xef"}}},
	{name: "udf", usage: Filesystem, tolerant: true, probe: probeUDF, magics: []magic{
		{0x8001, "BEA01"}, {0x8001, "BOOT2"}, {0x8001, "CD001"}, {0x8001, "CDW02"}, {0x8001, "NSR02"}, {0x8001, "NSR03"}, {0x8001, "TEA01"},
	}},
	{name: "iso9660", usage: Filesystem, tolerant: true, probe: probeISO, magics: []magic{{0x8001, "CD001"}}},
	{name: "ntfs", usage: Filesystem, probe: probeNTFS, magics: []magic{{3, "NTFS    "}}},
	{name: "squashfs", usage: Filesystem, probe: probeSquash, magics: []magic{{0, "hsqs"}}},
	{name: "btrfs", usage: Filesystem, minSize: 1 << 20, probe: probeBtrfs, magics: []magic{{0x10040, "_BHRfS_M"}}},
	{name: "exfat", usage: Filesystem, probe: probeExFAT, magics: []magic{{3, "EXFAT   "}}},
	{name: "f2fs", usage: Filesystem, probe: probeF2FS, magics: []magic{{0x400, "\x10\x20\xf5\xf2"}}},
	{name: "erofs", usage: Filesystem, probe: probeEROFS, magics: []magic{{0x400, "\xe2\xe1\xf5\xe0"}}},
}

// match reports whether the device has the format, and fills in sb. Only the first magic that is there counts.
func (f *format) match(d *device, sb *Superblock) bool {
	if len(f.magics) == 0 {
		return f.probe(d, sb, 0)
	}
	for _, m := range f.magics {
		if string(d.at(m.offset, len(m.bytes))) == m.bytes {
			return f.probe(d, sb, m.offset)
		}
	}
	return false
}
