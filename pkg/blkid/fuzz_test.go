package blkid_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/blkid"
)

// addImages adds the images of both directories in their form as files.
func addImages(f *testing.F, add func(b []byte)) {
	for _, dir := range []string{"probe", "table"} {
		for _, name := range imageNames(f, dir) {
			b, err := os.ReadFile(filepath.Join("testdata", name+".sectors"))
			if err != nil {
				f.Fatal(err)
			}
			add(b)
		}
	}
}

// repair makes the checksums right behind which fuzzing finds little: those of a GPT and of an exFAT.
func repair(m *image, sectorSize int64) {
	read := func(off int64, n int) []byte {
		b := make([]byte, n)
		m.ReadAt(b, off)
		return b
	}
	write := func(off int64, sum uint32) {
		for i := range int64(4) {
			m.set(off+i, byte(sum>>(8*i)))
		}
	}
	le := binary.LittleEndian
	h := read(sectorSize, int(sectorSize))
	if size := le.Uint32(h[12:]); string(h[:8]) == "EFI PART" && size >= 92 && int64(size) <= sectorSize {
		sum := crc32.ChecksumIEEE(read(int64(le.Uint64(h[72:])&0xffff)*sectorSize, int(le.Uint32(h[80:])&0x1fff)*128))
		write(sectorSize+88, sum)
		write(sectorSize+16, 0)
		write(sectorSize+16, crc32.ChecksumIEEE(read(sectorSize, int(size))))
	}
	b := read(0, 512)
	if shift := b[108]; string(b[3:11]) == "EXFAT   " && shift >= 9 && shift <= 12 {
		var sum uint32
		for i, c := range read(0, 11<<shift) {
			if i != 106 && i != 107 && i != 112 {
				sum = bits.RotateLeft32(sum, -1) + uint32(c)
			}
		}
		write(11<<shift, sum)
	}
	m.reads, m.bytes = 0, 0
}

// FuzzProbe checks that no device makes Probe panic or read without bound, and that results make sense.
func FuzzProbe(f *testing.F) {
	addImages(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		m := parseImage(b)
		repair(m, 512)
		sb, err := blkid.Probe(m, m.size)
		if m.reads > 3000 || m.bytes > 8<<20 {
			t.Errorf("Probe reads %d bytes in %d reads", m.bytes, m.reads)
		}
		found := []blkid.Superblock{sb}
		if ambiguous := new(blkid.AmbiguousError); errors.As(err, &ambiguous) {
			if found = ambiguous.Candidates; len(found) < 2 {
				t.Errorf("ambiguous: %+v", found)
			}
		} else if err != nil {
			if err != blkid.ErrNone || sb != (blkid.Superblock{}) {
				t.Errorf("Probe = %+v, %v", sb, err)
			}
			return
		}
		for _, sb := range found {
			if sb.Type == "" || sb.Usage == "" || sb.Size < 0 || sb.BlockSize < 0 || strings.Contains(sb.UUID+sb.Label+sb.SubUUID, "\x00") {
				t.Errorf("Probe = %+v", sb)
			}
		}
	})
}

// FuzzTable checks that no disk makes ReadTable panic or read without bound, and that results make sense.
func FuzzTable(f *testing.F) {
	addImages(f, func(b []byte) {
		f.Add(b, false)
		f.Add(b, true)
	})
	f.Fuzz(func(t *testing.T, b []byte, large bool) {
		sectorSize := int64(512)
		if large {
			sectorSize = 4096
		}
		m := parseImage(b)
		repair(m, sectorSize)
		table, err := blkid.ReadTable(m, m.size, sectorSize)
		if m.reads > 3000 || m.bytes > 8<<20 {
			t.Errorf("ReadTable reads %d bytes in %d reads", m.bytes, m.reads)
		}
		if err != nil {
			if err != blkid.ErrNone || !cmp.Equal(table, blkid.Table{}) {
				t.Errorf("ReadTable = %+v, %v", table, err)
			}
			return
		}
		if table.Type != "gpt" && table.Type != "dos" || len(table.Parts) > 260 {
			t.Errorf("ReadTable = %+v", table)
		}
		number := 0
		for _, p := range table.Parts {
			if p.Number <= number || p.Start < 0 || p.Size <= 0 || p.Start%512 != 0 || p.Type == "" || table.Type == "gpt" && p.Start+p.Size > m.size {
				t.Errorf("ReadTable = %+v", p)
			}
			number = p.Number
		}
	})
}
