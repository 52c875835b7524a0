// Package blkid says what is on a block device: which file system, swap area, encrypted volume, RAID or LVM member, with
// which UUID and label (Probe), and which partitions (ReadTable).
//
// Names, UUIDs and labels are those of blkid(8), and so is what happens with the traces of several formats on one device:
// the package follows libblkid of util-linux 2.38.1, and verifies the checksums that later versions verify. It reads
// through an io.ReaderAt and nothing else; whatever is on the device, it neither panics nor reads or allocates without bound.
//
// It differs from libblkid in this: it knows only what Probe lists; it has no ext4dev, which is ext4 with a flag; what no
// kernel could mount is nothing (NTFS records over 4 KiB, EROFS blocks of odd sizes); a second header of LUKS2 is looked
// for up to 64 KiB, the label of a FAT or exFAT in 64 KiB of the root directory; the revision of a UDF is that of the
// logical volume; a dos table has at most 255 partitions, a GPT at most 8192 entries; a read error at the end of a device
// does not hide what is at its start; and what is not valid UTF-16 becomes U+FFFD.
package blkid

import (
	"errors"
	"fmt"
	"io"
)

// ErrNone says that a device has nothing that this package knows.
var ErrNone = errors.New("no known superblock or partition table")

// Usage is what a superblock is for. Its values are the words that blkid(8) has for USAGE.
type Usage string

const (
	Filesystem Usage = "filesystem"
	RAID       Usage = "raid"   // a member of something that must be put together first: md, LVM
	Crypto     Usage = "crypto" // must be unlocked first
	Other      Usage = "other"  // swap, a hibernated system, an external journal
)

// Superblock is what a device says about itself.
type Superblock struct {
	Type      string // "ext4", "vfat", "swap", "crypto_LUKS", "LVM2_member", "linux_raid_member"
	Usage     Usage
	Version   string // "1.0", "FAT32", "1.2"; empty if the format has none
	UUID      string // as in root=UUID=: "3e6be9de-8139-11d1-9106-a43f08d823a6", vfat "2E24-EC82", ntfs "A43F08D823A61234"; may be empty
	SubUUID   string // of this device among those that share UUID: btrfs and linux_raid_member
	Label     string // as in root=LABEL=, the bytes on the device (UTF-16 becomes UTF-8), without spaces at the end; may be empty
	BlockSize int64  // bytes of the smallest unit that the format reads or writes; 0 if unknown
	Size      int64  // bytes that the file system or swap area takes up, which may be more than the device has; 0 if unknown
}

// AmbiguousError says that a device has several superblocks, and nothing tells which one is stale.
type AmbiguousError struct {
	Candidates []Superblock // two or more, in the order in which libblkid probes
}

func (e *AmbiguousError) Error() string {
	text := "several superblocks on one device: "
	for i := range e.Candidates {
		if i > 0 {
			text += ", "
		}
		text += e.Candidates[i].Type
	}
	return text
}

// floppy is the size in bytes up to which libblkid looks for no RAID member and takes the first superblock that it finds.
const floppy = 1440 << 10

// headSize takes in all superblocks at fixed offsets, of which the last is that of btrfs. One read of 68 KiB costs a disk
// less than several small ones.
const headSize = 0x10000 + 0x1000

// Probe says what is on the device r, which has size bytes: btrfs, crypto_LUKS (1, 2), erofs, exfat, ext2, ext3, ext4, f2fs,
// iso9660, jbd, linux_raid_member (0.90, 1.x), LVM2_member, ntfs, squashfs, squashfs3, swap, swsuspend, udf, vfat or xfs.
//
// A RAID or LVM member, then an encrypted volume, hides everything else on the device. Otherwise it must have one superblock
// only, though an optical disc may have both iso9660 and udf, and then is udf. (superblocks_safeprobe of libblkid.)
//
// The error is ErrNone, an *AmbiguousError, or that of a read if nothing was found in what could be read.
func Probe(r io.ReaderAt, size int64) (Superblock, error) {
	if size <= 1024 {
		return Superblock{}, ErrNone // an extended partition has this size
	}
	d := newDevice(r, size, headSize)
	var found []Superblock
	n, intolerant := 0, false
	for i := range formats {
		f := &formats[i]
		if size < f.minSize || f.usage == RAID && size <= floppy {
			continue
		}
		found = append(found[:n], Superblock{Type: f.name, Usage: f.usage})
		sb := &found[n]
		if !f.match(d, sb) {
			continue
		}
		if size <= floppy || f.usage == RAID || f.usage == Crypto {
			return *sb, nil
		}
		n++
		intolerant = intolerant || !f.tolerant
	}

	switch {
	case n > 1 && intolerant:
		return Superblock{}, &AmbiguousError{Candidates: found[:n]}
	case n > 0:
		return found[0], nil
	case d.err != nil:
		return Superblock{}, fmt.Errorf("probe for superblocks: %w", d.err)
	}
	return Superblock{}, ErrNone
}
