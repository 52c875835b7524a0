//go:build linux

package blkid

import (
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// put writes b at an offset in bytes.
func (s sparse) put(off int64, b []byte) sparse {
	for i, c := range b {
		at := off + int64(i)
		if s.sectors[at/512] == nil {
			s.sectors[at/512] = make([]byte, 512)
		}
		s.sectors[at/512][at%512] = c
	}
	return s
}

func blank(size int64) sparse {
	return sparse{size: size, sectors: map[int64][]byte{}}
}

// pv has the label of an LVM physical volume in a sector; pvcreate takes only block devices.
func pv(size, sector int64) sparse {
	b := make([]byte, 512)
	copy(b, "LABELONE")
	le.PutUint64(b[8:], uint64(sector))
	le.PutUint32(b[20:], 32)
	copy(b[24:], "LVM2 001")
	copy(b[32:], "abcdef0123456789ABCDEFGHIJKLMNOP")
	le.PutUint64(b[64:], uint64(size))
	// The seed is LVM's own, and nothing is inverted.
	sum := ^uint32(0xf597a6cf)
	le.PutUint32(b[16:], ^crc32.Update(sum, crc32.IEEETable, b[20:]))
	return blank(size).put(sector*512, b)
}

// mbr has a boot sector with one partition.
func mbr(s sparse, kind byte, start, size uint32) sparse {
	b := make([]byte, 66)
	b[4] = kind
	le.PutUint32(b[8:], start)
	le.PutUint32(b[12:], size)
	b[64], b[65] = 0x55, 0xaa
	return s.put(446, b)
}

// raid0 has an md superblock of version 0.90 for size kibibytes.
func raid0(s sparse, order binary.ByteOrder, size uint32) sparse {
	b := make([]byte, 4096)
	for i, word := range []uint32{0xa92b4efc, 0, 90, 3, 0, 0x01020304, 1700000000, 1, size, 2, 2, 5, 0, 0x05060708, 0x090a0b0c, 0x0d0e0f10} {
		order.PutUint32(b[4*i:], word)
	}
	for i, word := range []uint32{1700000000, 1, 2, 2} { // utime, state, active and working disks
		order.PutUint32(b[128+4*i:], word)
	}
	var sum uint64
	for i := 0; i < len(b); i += 4 {
		sum += uint64(order.Uint32(b[i:]))
	}
	order.PutUint32(b[152:], uint32(sum)+uint32(sum>>32))
	return s.put(s.size&^0xffff-0x10000, b)
}

// raid1 has an md superblock of version 1 at an offset, of an array of so many devices.
func raid1(off int64, devices int) sparse {
	b := make([]byte, 256+2*devices)
	le.PutUint32(b, 0xa92b4efc)
	le.PutUint32(b[4:], 1)
	for i := range 16 {
		b[16+i], b[168+i] = byte(i+1), byte(0xf0+i)
	}
	copy(b[32:64], "rechner:wurzel")
	le.PutUint64(b[64:], 1700000000)
	le.PutUint32(b[72:], 1)    // RAID 1
	le.PutUint64(b[80:], 4096) // sectors
	le.PutUint32(b[92:], uint32(devices))
	le.PutUint64(b[128:], 128)
	le.PutUint64(b[136:], 4096)
	le.PutUint64(b[144:], uint64(off/512))
	le.PutUint32(b[220:], uint32(devices))
	for i := range devices {
		le.PutUint16(b[256+2*i:], uint16(i))
	}
	var sum uint64
	for i := 0; i < len(b); i += 4 {
		if i+4 > len(b) {
			sum += uint64(le.Uint16(b[i:]))
		} else {
			sum += uint64(le.Uint32(b[i:]))
		}
	}
	le.PutUint32(b[216:], uint32(sum)+uint32(sum>>32))
	return blank(4<<20).put(off, b)
}

// hibernated is a swap area with another mark.
func hibernated(t *testing.T, mark string) sparse {
	t.Helper()
	return readCorpus(t)["swap"].clone().put(4096-10, []byte((mark + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")[:10]))
}

// TestHandmade compares what has no program that makes it in a file.
func TestHandmade(t *testing.T) {
	const size = 4<<20 + 512
	for _, test := range []struct {
		name  string
		image sparse
		want  string // the type
		keep  bool
		judge string // a program that must find the image good, and what it says then
	}{
		{name: "lvm-0", image: pv(size, 0), want: "LVM2_member"},
		{name: "lvm", image: pv(size, 1), want: "LVM2_member", keep: true, judge: "pvck --dump headers:label_header.id LABELONE"},
		{name: "lvm-2", image: pv(size, 2), want: "LVM2_member"},
		{name: "lvm-3", image: pv(size, 3), want: "LVM2_member"},
		{name: "lvm-4", image: pv(size, 4), want: "none"},
		{name: "lvm-moved", image: pv(size, 1).put(2*512, pv(size, 1).sectors[1]).put(512, make([]byte, 512)), want: "none"},
		{name: "lvm-bad-sum", image: pv(size, 1).put(512+100, []byte{1}), want: "none"},
		{name: "lvm-empty-mbr", image: mbr(pv(size, 1), 0, 0, 0), want: "LVM2_member"},
		{name: "lvm-under-mbr", image: mbr(pv(size, 1), 0x83, 2048, 2048), want: "none"},
		{name: "lvm-under-gpt", image: mbr(pv(size, 1), 0xee, 1, 8191), want: "LVM2_member"},
		{name: "lvm-on-floppy", image: pv(1440<<10, 1), want: "none"},
		{name: "lvm-and-ext4", image: overlay(readCorpus(t)["ext4"], pv(4<<20, 1)), want: "LVM2_member"},

		{name: "raid-0.90", image: raid0(blank(size), le, 1<<10), want: "linux_raid_member", keep: true, judge: "mdadm -E:UUID : 01020304"},
		{name: "raid-0.90-big-endian", image: raid0(blank(size), be, 1<<10), want: "linux_raid_member"},
		{name: "raid-0.90-too-large", image: raid0(blank(size), le, 8<<10), want: "none"},
		{name: "raid-0.90-in-last-partition", image: mbr(raid0(blank(4<<20), le, 1<<10), 0xfd, 2048, 8192-2048), want: "none"},
		{name: "raid-0.90-after-partition", image: mbr(raid0(blank(4<<20), le, 1<<10), 0xfd, 2048, 2048), want: "linux_raid_member"},
		{name: "raid-0.90-partition-overflows", image: mbr(raid0(blank(4<<20), le, 1<<10), 0xfd, 2048, 16384), want: "linux_raid_member"},
		{name: "raid-1.0", image: raid1(4<<20-8192, 2), want: "linux_raid_member", keep: true, judge: "mdadm -E:- correct"},
		{name: "raid-1.1", image: raid1(0, 3), want: "linux_raid_member", judge: "mdadm -E:- correct"},
		{name: "raid-1.2", image: raid1(4096, 384), want: "linux_raid_member", keep: true, judge: "mdadm -E:- correct"},
		{name: "raid-1.2-on-ext4", image: overlay(readCorpus(t)["ext4"], raid1(4096, 2)), want: "linux_raid_member"},
		{name: "raid-1.0-moved", image: raid1(4<<20-4096, 2), want: "none"},

		{name: "s1suspend", image: hibernated(t, "S1SUSPEND"), want: "swsuspend", keep: true},
		{name: "s2suspend", image: hibernated(t, "S2SUSPEND"), want: "swsuspend"},
		{name: "ulsuspend", image: hibernated(t, "ULSUSPEND"), want: "swsuspend"},
		{name: "linhib", image: hibernated(t, "LINHIB0001"), want: "swsuspend"},
		{name: "tuxonice", image: readCorpus(t)["swap"].clone().put(0, []byte("\xed\xc3\x02\xe9\x98\x56\xe5\x0c")), want: "swsuspend"},
		{name: "swap-0", image: hibernated(t, "SWAP-SPACE"), want: "swap"},
		{name: "swap-big-endian", image: readCorpus(t)["swap"].clone().put(1024, []byte{0, 0, 0, 1, 0, 0, 0, 255}), want: "swap"},
		{name: "swap-no-version", image: readCorpus(t)["swap"].clone().put(1024, []byte{0}), want: "none"},
		{name: "squashfs-3", image: readCorpus(t)["squashfs"].clone().put(28, []byte{3, 0, 1, 0}), want: "squashfs3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			test.image.write(t, image)
			want := theirs(t, image)
			if !strings.HasPrefix(want, "TYPE="+test.want+"\n") && want != test.want {
				t.Fatalf("blkid says\n%s", want)
			}
			if diff := cmp.Diff(want, ours(t, test.image, test.image.size)); diff != "" {
				t.Errorf("Probe (-blkid +ours):\n%s", diff)
			}
			if command, says, ok := strings.Cut(test.judge, ":"); ok {
				words := strings.Fields(command)
				if out, _, _ := run(t, "", "", words[0], append(words[1:], image)...); !strings.Contains(out, says) {
					t.Errorf("%s does not say %q:\n%s", command, says, out)
				}
			}
			if *update && test.keep {
				keep(t, test.name, minimal(t, test.image, test.image.size), want)
			}
		})
	}
}

// overlay has the sectors of both images, of top where both have one.
func overlay(bottom, top sparse) sparse {
	s := bottom.clone()
	s.size = max(s.size, top.size)
	for n, sector := range top.sectors {
		s.sectors[n] = sector
	}
	return s
}
