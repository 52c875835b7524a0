package blkid_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/blkid"
)

// sectorSizeOf is what the name of an image tells.
func sectorSizeOf(name string) int64 {
	if strings.HasSuffix(name, "-4k") {
		return 4096
	}
	return 512
}

func TestReadTable(t *testing.T) {
	for _, name := range imageNames(t, "table") {
		t.Run(name, func(t *testing.T) {
			m := readImage(t, name)
			table, err := blkid.ReadTable(m, m.size, sectorSizeOf(name))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, p := range table.Parts {
				fmt.Fprintf(&b, "SCHEME=%q NR=\"%d\" START=\"%d\" SECTORS=\"%d\" TYPE=%q UUID=%q NAME=\"%s\" FLAGS=\"%#x\"\n",
					table.Type, p.Number, p.Start/512, p.Size/512, p.Type, p.UUID, strings.ReplaceAll(p.Name, "ü", `\xc3\xbc`), p.Flags)
			}
			if diff := cmp.Diff(golden(t, name+".partx"), b.String()); diff != "" {
				t.Errorf("ReadTable (-partx +ours):\n%s", diff)
			}
			if want := name == "table/gpt-no-header"; table.Backup != want {
				t.Errorf("ReadTable says Backup %v", table.Backup)
			}
			if m.reads > 6 {
				t.Errorf("ReadTable reads %d bytes in %d reads", m.bytes, m.reads)
			}
		})
	}
}

// TestReadTableDamaged changes one byte of a GPT: the backup must take over, or the disk has no table.
func TestReadTableDamaged(t *testing.T) {
	last := int64(64<<20)/512 - 1
	for _, test := range []struct {
		name    string
		offsets []int64
		want    string
	}{
		{"signature", []int64{512}, "backup"},
		{"header size", []int64{512 + 12}, "backup"},
		{"header's checksum", []int64{512 + 16}, "backup"},
		{"its own sector", []int64{512 + 24}, "backup"},
		{"last sector to use", []int64{512 + 48 + 7}, "backup"},
		{"number of entries", []int64{512 + 80 + 3}, "backup"},
		{"size of an entry", []int64{512 + 84}, "backup"},
		{"an entry", []int64{1024 + 16}, "backup"},
		{"an entry that is not used", []int64{1024 + 64*128 + 5}, "backup"},
		{"the backup's header", []int64{last * 512}, "primary"},
		{"both headers", []int64{512 + 56, last*512 + 56}, "none"},
		{"entries of both", []int64{1024, (last - 32) * 512}, "none"},
		{"protective MBR's signature", []int64{510}, "none"},
		{"protective MBR's type", []int64{450}, "none, but a dos table"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := readImage(t, "table/gpt").over(readImage(t, "table/gpt-no-header"))
			for n, sector := range readImage(t, "table/gpt").sectors {
				m.sectors[n] = sector
			}
			for _, off := range test.offsets {
				m.set(off, m.get(off)^1)
			}
			table, err := blkid.ReadTable(m, m.size, 512)
			got := "primary"
			switch {
			case errors.Is(err, blkid.ErrNone):
				got = "none"
			case err != nil:
				t.Fatal(err)
			case table.Type == "dos":
				got = "none, but a dos table"
			case table.Backup:
				got = "backup"
			}
			if got != test.want {
				t.Errorf("ReadTable takes %s, want %s", got, test.want)
			}
		})
	}
}

// TestReadTableOfFileSystems reads boot sectors that are no MBR.
func TestReadTableOfFileSystems(t *testing.T) {
	for _, name := range imageNames(t, "probe") {
		m := readImage(t, name)
		if table, err := blkid.ReadTable(m, m.size, 512); err != blkid.ErrNone {
			t.Errorf("ReadTable(%s) = %+v, %v", name, table, err)
		}
	}
}

func TestReadTableSectorSize(t *testing.T) {
	for _, size := range []int64{-512, 0, 1, 256, 520, 1 << 20} {
		if table, err := blkid.ReadTable(&image{size: 1 << 20}, 1<<20, size); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ReadTable with sectors of %d bytes = %+v, %v", size, table, err)
		}
	}
}
