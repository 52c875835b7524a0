package blkid_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/blkid"
)

// export writes a superblock as blkid -p -o export does.
func export(sb blkid.Superblock) string {
	var b strings.Builder
	for _, field := range [][2]string{
		{"TYPE", sb.Type}, {"USAGE", string(sb.Usage)}, {"VERSION", sb.Version}, {"UUID", sb.UUID},
		{"UUID_SUB", sb.SubUUID}, {"LABEL", sb.Label}, {"BLOCK_SIZE", fmt.Sprint(sb.BlockSize)},
	} {
		if field[1] != "" && field[1] != "0" {
			fmt.Fprintf(&b, "%s=%s\n", field[0], field[1])
		}
	}
	return b.String()
}

func TestProbe(t *testing.T) {
	for _, name := range imageNames(t, "probe") {
		t.Run(name, func(t *testing.T) {
			m := readImage(t, name)
			sb, err := blkid.Probe(m, m.size)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(golden(t, name+".blkid"), export(sb)); diff != "" {
				t.Errorf("Probe (-blkid +ours):\n%s", diff)
			}
			if m.reads > 8 || m.bytes > 128<<10 {
				t.Errorf("Probe reads %d bytes in %d reads", m.bytes, m.reads)
			}
		})
	}
}

// TestProbeSize checks what no field of blkid's tells.
func TestProbeSize(t *testing.T) {
	for name, want := range map[string]int64{
		"ext2": 1 << 20, "ext4": 4 << 20, "jbd": 2 << 20, "xfs": 300 << 20, "btrfs": 16 << 20, "fat12": 256 << 10, "fat16": 8 << 20,
		"exfat": 4 << 20, "ntfs": 2<<20 - 512, "swap": 1 << 20, "f2fs": 64 << 20, "luks2": 0,
	} {
		m := readImage(t, "probe/"+name)
		sb, err := blkid.Probe(m, m.size)
		if err != nil || sb.Size != want {
			t.Errorf("Probe(%s) says %d bytes (%v), want %d", name, sb.Size, err, want)
		}
	}
	for _, name := range []string{"squashfs", "erofs", "iso"} { // which have no size of their own
		m := readImage(t, "probe/"+name)
		sb, err := blkid.Probe(m, m.size)
		if err != nil || sb.Size <= 0 || sb.Size > m.size {
			t.Errorf("Probe(%s) says %d bytes of %d (%v)", name, sb.Size, m.size, err)
		}
	}
}

// TestProbeReads counts the reads of a device that has nothing, which is the most common one: a disk with partitions.
func TestProbeReads(t *testing.T) {
	m := &image{size: 1 << 40}
	if _, err := blkid.Probe(m, m.size); err != blkid.ErrNone {
		t.Fatal(err)
	}
	if m.reads > 3 {
		t.Errorf("%d reads", m.reads)
	}
}

// TestProbeChecksums changes a byte that a checksum covers, and nothing else does.
func TestProbeChecksums(t *testing.T) {
	for name, off := range map[string]int64{
		"ext4": 1024 + 0x30, "xfs": 0x100, "btrfs": 0x10000 + 0x50, "f2fs-sum": 1024 + 0x61, "exfat": 0x150, "erofs": 1024 + 16,
		"lvm": 512 + 300, "raid-1.0": 4<<20 - 8192 + 64, "raid-1.2": 4096 + 64,
	} {
		m := readImage(t, "probe/"+name)
		m.set(off, m.get(off)^1)
		if sb, err := blkid.Probe(m, m.size); err != blkid.ErrNone {
			t.Errorf("Probe(%s with a bad byte) = %+v, %v", name, sb, err)
		}
	}
}

func (m *image) get(off int64) byte {
	if sector := m.sectors[off/512]; sector != nil {
		return sector[off%512]
	}
	return 0
}

func (m *image) set(off int64, c byte) {
	sector := make([]byte, 512)
	copy(sector, m.sectors[off/512])
	sector[off%512] = c
	m.sectors[off/512] = sector
}

// over puts the sectors of top over those of m.
func (m *image) over(top *image) *image {
	for n, sector := range top.sectors {
		m.sectors[n] = sector
	}
	m.size = max(m.size, top.size)
	return m
}

func TestProbeAmbiguous(t *testing.T) {
	for _, test := range []struct {
		name, bottom, top, want string
	}{
		{"stale btrfs", "btrfs", "ext4", "several superblocks on one device: ext4, btrfs"},
		{"swap and xfs", "swap", "xfs", "several superblocks on one device: swap, xfs"},
		{"three", "btrfs", "swap xfs", "several superblocks on one device: swap, xfs, btrfs"},
		{"udf is an iso9660 too", "iso-udf", "iso-udf", "udf"},
		{"ext4 in front of an iso", "iso", "ext4", "several superblocks on one device: ext4, iso9660"},
		{"LUKS hides all", "btrfs", "luks2", "crypto_LUKS"},
		{"LVM hides all", "btrfs", "ext2 lvm", "LVM2_member"},
		{"RAID hides LUKS", "luks2", "raid-1.2", "linux_raid_member"},
		{"the first one on a floppy", "fat12", "swap", "vfat"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := readImage(t, "probe/"+test.bottom)
			for top := range strings.FieldsSeq(test.top) {
				m.over(readImage(t, "probe/"+top))
			}
			if test.bottom == "fat12" {
				m.size = 1440 << 10
			}
			sb, err := blkid.Probe(m, m.size)
			got := sb.Type
			if ambiguous := new(blkid.AmbiguousError); errors.As(err, &ambiguous) {
				got = ambiguous.Error()
			} else if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("Probe = %q, want %q", got, test.want)
			}
		})
	}
}

// TestProbeLVMUnderPartitions has an MBR that is younger than the label of LVM, since pvcreate would have cleared it.
func TestProbeLVMUnderPartitions(t *testing.T) {
	m := readImage(t, "table/dos").over(readImage(t, "probe/lvm"))
	if sb, err := blkid.Probe(m, m.size); err != blkid.ErrNone {
		t.Errorf("Probe = %+v, %v", sb, err)
	}
	for off := int64(446); off < 510; off++ {
		m.set(off, 0)
	}
	if sb, err := blkid.Probe(m, m.size); err != nil || sb.Type != "LVM2_member" {
		t.Errorf("Probe without partitions = %+v, %v", sb, err)
	}
}

// TestProbeRAIDInPartition has a superblock that is that of the last partition, whose end is the end of the disk.
func TestProbeRAIDInPartition(t *testing.T) {
	m := readImage(t, "probe/raid-0.90")
	sectors := m.size / 512
	for off, c := range map[int64]byte{450: 0xfd, 454: 63, 458: byte(sectors - 63), 459: byte((sectors - 63) >> 8), 510: 0x55, 511: 0xaa} {
		m.set(off, c)
	}
	if sb, err := blkid.Probe(m, m.size); err != blkid.ErrNone {
		t.Errorf("Probe = %+v, %v", sb, err)
	}
	m.set(459, 1)
	if sb, err := blkid.Probe(m, m.size); err != nil || sb.Type != "linux_raid_member" {
		t.Errorf("Probe with a smaller partition = %+v, %v", sb, err)
	}
}

// TestProbeReadErrors has a device that does not give everything.
func TestProbeReadErrors(t *testing.T) {
	broken := errors.New("input/output error")
	for _, test := range []struct {
		name string
		size int64 // claimed
		fail func(off int64) error
		want error
	}{
		{"all", 4 << 20, func(int64) error { return broken }, broken},
		{"the end", 4 << 20, func(off int64) error {
			if off > 1<<20 {
				return broken
			}
			return nil
		}, nil},
		{"the start", 4 << 20, func(off int64) error {
			if off < 4096 {
				return broken
			}
			return nil
		}, broken},
		{"smaller than it says", 1 << 40, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := readImage(t, "probe/ext4")
			m.fail = test.fail
			sb, err := blkid.Probe(m, test.size)
			if !errors.Is(err, test.want) || err == nil && sb.Type != "ext4" {
				t.Errorf("Probe = %+v, %v, want error %v", sb, err, test.want)
			}
			if _, err := blkid.ReadTable(m, test.size, 512); test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("ReadTable: %v, want %v", err, test.want)
			}
		})
	}
}

// TestProbeTruncated cuts images off at every sector: nothing but the real type or none may come out.
func TestProbeTruncated(t *testing.T) {
	for _, name := range imageNames(t, "probe") {
		m := readImage(t, name)
		whole, err := blkid.Probe(m, m.size)
		if err != nil {
			t.Fatal(err)
		}
		for m.size = min(m.size, 256<<10); m.size >= 0; m.size -= 512 {
			sb, err := blkid.Probe(m, m.size)
			if err == nil && sb.Type != whole.Type && (whole.Type != "udf" || sb.Type != "iso9660") || err != nil && err != blkid.ErrNone {
				t.Errorf("Probe(%d bytes of %s) = %+v, %v", m.size, name, sb, err)
			}
			blkid.ReadTable(m, m.size, 512)
			blkid.ReadTable(m, m.size, 4096)
		}
	}
}

func TestProbeGarbage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		m := &image{size: 4 << 20, sectors: map[int64][]byte{}}
		for n := range m.size / 512 {
			sector := make([]byte, 512)
			for i := range sector {
				sector[i] = byte(random.Uint32())
			}
			m.sectors[n] = sector
		}
		if sb, err := blkid.Probe(m, m.size); err != blkid.ErrNone {
			t.Errorf("Probe(garbage) = %+v, %v", sb, err)
		}
		if table, err := blkid.ReadTable(m, m.size, 512); err != blkid.ErrNone {
			t.Errorf("ReadTable(garbage) = %+v, %v", table, err)
		}
	}
}

func TestProbeSmall(t *testing.T) {
	for _, size := range []int64{-1, 0, 1, 512, 1024, 1025} {
		if sb, err := blkid.Probe(&image{size: max(size, 0)}, size); err != blkid.ErrNone {
			t.Errorf("Probe(%d bytes) = %+v, %v", size, sb, err)
		}
		if table, err := blkid.ReadTable(&image{size: max(size, 0)}, size, 512); err != blkid.ErrNone {
			t.Errorf("ReadTable(%d bytes) = %+v, %v", size, table, err)
		}
	}
}
