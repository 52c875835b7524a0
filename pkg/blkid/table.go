package blkid

import (
	"errors"
	"fmt"
	"io"
)

// maxPartitions is how many partitions of a disk the kernel uses (DISK_MAX_PARTS, include/linux/genhd.h).
const maxPartitions = 256

// Table is the partition table of a disk.
type Table struct {
	Type   string // "gpt" or "dos"
	UUID   string // of the disk: "0fc63daf-8483-4772-8e79-3d69d8477de4", or "90909090" for dos; empty if that has none
	Backup bool   // the first header or its entries are damaged: this is what the one at the end of the disk says
	Parts  []Partition
}

// Partition is an entry of a Table.
type Partition struct {
	Number      int    // from 1; logical partitions of a dos table from 5
	Start, Size int64  // bytes
	Type        string // "0fc63daf-8483-4772-8e79-3d69d8477de4", or "0x83" for dos
	UUID        string // as in root=PARTUUID=: "3e6be9de-8139-11d1-9106-a43f08d823a6", or "90909090-01" for dos; may be empty
	Name        string // as in root=PARTLABEL=, in UTF-8; empty for dos
	Flags       uint64 // attributes of gpt; for dos, 0x80 if it is active
}

// ReadTable reads the partition table of a disk r, which has size bytes and logical sectors of sectorSize. For an image in
// a file, 512 is right unless it was made for another disk. A file system that has a boot sector has no partition table.
//
// The error is ErrNone or that of a read.
func ReadTable(r io.ReaderAt, size, sectorSize int64) (Table, error) {
	if sectorSize < 512 || sectorSize > 64<<10 || sectorSize&(sectorSize-1) != 0 {
		return Table{}, fmt.Errorf("read partition table: sectors of %d bytes: %w", sectorSize, errors.ErrUnsupported)
	}
	d := newDevice(r, size, 2*sectorSize+gptChunk) // all of a usual GPT
	t := tableReader{d: d, sectorSize: sectorSize}
	if t.readGPT() || t.readDOS() {
		return t.Table, nil
	}
	if d.err != nil {
		return Table{}, fmt.Errorf("read partition table: %w", d.err)
	}
	return Table{}, ErrNone
}

// tableReader is a table while it is being read.
type tableReader struct {
	Table
	d          *device
	sectorSize int64
}
