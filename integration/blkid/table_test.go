//go:build linux

package blkid

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/blkid"
)

// tables is where partition tables are kept, each beside what partx says about it.
const tables = "../../pkg/blkid/testdata/table"

// theirTable is what partx, by libblkid, says about an image, or "none".
func theirTable(t *testing.T, image string, sectorSize int64) string {
	t.Helper()
	out, _, status := run(t, "", "", "partx", "-P", "-b", "-o", "SCHEME,NR,START,SECTORS,TYPE,UUID,NAME,FLAGS", "--sector-size", fmt.Sprint(sectorSize), image)
	if status != 0 {
		return "none"
	}
	if out == "" { // partx does not say of what kind
		switch typ, _, _ := run(t, "", "", "blkid", "-p", "-o", "value", "-s", "PTTYPE", image); typ {
		case "gpt\n", "dos\n":
		default:
			return "none"
		}
	}
	var b strings.Builder
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, `SCHEME="gpt"`) || strings.HasPrefix(line, `SCHEME="dos"`) { // else one in a partition
			b.WriteString(line)
		}
	}
	return b.String()
}

// ourTable is what ReadTable says, in the form of theirTable.
func ourTable(t *testing.T, r io.ReaderAt, size, sectorSize int64) string {
	t.Helper()
	table, err := blkid.ReadTable(r, size, sectorSize)
	if errors.Is(err, blkid.ErrNone) {
		return "none"
	} else if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range table.Parts {
		fmt.Fprintf(&b, "SCHEME=%q NR=\"%d\" START=\"%d\" SECTORS=\"%d\" TYPE=%q UUID=%q NAME=\"%s\" FLAGS=\"%#x\"\n",
			table.Type, p.Number, p.Start/512, p.Size/512, p.Type, p.UUID, escape(p.Name), p.Flags)
	}
	return b.String()
}

// escape is how partx writes a name.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f || strings.IndexByte("\"\\`$", c) >= 0 {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const gptScript = `label: gpt
label-id: 3E6BE9DE-8139-11D1-9106-A43F08D823A6
1: size=1MiB, name="Grün", uuid=0FC63DAF-8483-4772-8E79-3D69D8477DE4
3: size=2MiB, type=U, attrs="LegacyBIOSBootable,GUID:63"
128: size=4MiB, name="36 letters, which are the most it has", type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
`

const dosScript = `label: dos
label-id: 0x0badcafe
1: size=1MiB, bootable
2: size=20MiB, type=f
3: size=4MiB, type=82
5: size=1MiB
6: size=2MiB, type=fd
7: size=3MiB, type=c
`

// layouts are disks and how to make them. Commands are as in formats; a line that begins with "sectors" copies a number of
// sectors of 512 bytes from the first to the second: "sectors zero 1 1" destroys the primary header.
var layouts = []struct {
	name       string
	size       int64
	sectorSize int64
	keep       bool
	stdin      string
	commands   []string
	want       int // partitions; -1 for no table
	backup     bool
}{
	{name: "gpt", size: 64 << 20, keep: true, stdin: gptScript, commands: []string{"sfdisk -q FILE"}, want: 3},
	{name: "gpt-sgdisk", size: 64 << 20, commands: []string{
		"sgdisk -n 1:0:+1M -c 1:Wurzel+ä😀 -n 2:0:+2M -t 2:8200 -u 2:R -A 2:set:2 -n 9:0:0 -c 9:last FILE"}, want: 3},
	{name: "gpt-256-entries", size: 64 << 20, commands: []string{"sgdisk -S 256 -n 200:0:+1M FILE"}, want: 1},
	{name: "gpt-4-entries", size: 64 << 20, commands: []string{"sgdisk -S 4 -n 4:0:+1M FILE"}, want: 1},
	{name: "gpt-hybrid", size: 64 << 20, commands: []string{"sgdisk -n 1:0:+1M -n 2:0:+1M -h 1:2 FILE"}, want: 2},
	{name: "gpt-empty", size: 64 << 20, commands: []string{"sgdisk -o FILE"}},
	{name: "gpt-4k", size: 64 << 20, sectorSize: 4096, keep: true, stdin: "I\nscript\nw\n", commands: []string{"fdisk -b 4096 FILE"}, want: 3},
	{name: "gpt-no-header", size: 64 << 20, keep: true, stdin: gptScript, commands: []string{
		"sfdisk -q FILE", "dd if=/dev/zero of=FILE bs=512 seek=1 count=1 conv=notrunc status=none"}, want: 3, backup: true},
	{name: "gpt-no-entries", size: 64 << 20, stdin: gptScript, commands: []string{
		"sfdisk -q FILE", "dd if=/dev/urandom of=FILE bs=512 seek=4 count=1 conv=notrunc status=none"}, want: 3, backup: true},
	{name: "gpt-no-backup", size: 64 << 20, stdin: gptScript, commands: []string{
		"sfdisk -q FILE", "dd if=/dev/zero of=FILE bs=512 seek=131071 count=1 conv=notrunc status=none"}, want: 3},
	{name: "gpt-no-headers", size: 64 << 20, stdin: gptScript, commands: []string{
		"sfdisk -q FILE", "dd if=/dev/zero of=FILE bs=512 seek=1 count=1 conv=notrunc status=none",
		"dd if=/dev/zero of=FILE bs=512 seek=131071 count=1 conv=notrunc status=none"}, want: -1},
	{name: "gpt-no-mbr", size: 64 << 20, stdin: gptScript, commands: []string{
		"sfdisk -q FILE", "dd if=/dev/zero of=FILE bs=512 count=1 conv=notrunc status=none"}, want: -1},
	{name: "gpt-larger-disk", size: 64 << 20, stdin: gptScript, commands: []string{"sfdisk -q FILE", "truncate -s +1M FILE"}, want: 3},
	{name: "gpt-smaller-disk", size: 64 << 20, stdin: gptScript, commands: []string{"sfdisk -q FILE", "truncate -s -1M FILE"}, want: -1},

	{name: "dos", size: 64 << 20, keep: true, stdin: dosScript, commands: []string{"sfdisk -q FILE"}, want: 6},
	{name: "dos-4k", size: 64 << 20, sectorSize: 4096, keep: true, stdin: "I\nscript\nw\n", commands: []string{"fdisk -b 4096 FILE"}, want: 4},
	{name: "dos-no-id", size: 64 << 20, stdin: "label: dos\nsize=1MiB\n", commands: []string{
		"sfdisk -q FILE", "dd if=/dev/zero of=FILE bs=1 seek=440 count=4 conv=notrunc status=none"}, want: 1},
	{name: "dos-empty", size: 64 << 20, stdin: "label: dos\n", commands: []string{"sfdisk -q FILE"}},
	{name: "dos-50-logical", size: 200 << 20, stdin: "label: dos\nlabel-id: 0x1\ntype=5\n" + strings.Repeat("size=1MiB\n", 50), commands: []string{"sfdisk -q FILE"}, want: 51},
	{name: "dos-lost-link", size: 64 << 20, stdin: dosScript, commands: []string{
		"sfdisk -q FILE", "dd if=/dev/zero of=FILE bs=512 seek=8192 count=1 conv=notrunc status=none"}, want: 4},

	{name: "table-of-vfat", size: 34 << 20, commands: []string{"mkfs.vfat -F 32 FILE"}, want: -1},
	{name: "table-of-ntfs", size: 4 << 20, commands: []string{"mkntfs -q -F -Q FILE"}, want: -1},
	{name: "table-of-ext4", size: 4 << 20, commands: []string{"mke2fs -q -t ext4 FILE"}, want: -1},
	{name: "table-of-garbage", size: 4 << 20, commands: []string{"dd if=/dev/urandom of=FILE bs=1M count=4 status=none"}, want: -1},
}

func TestReadTable(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			dir := t.TempDir()
			image := filepath.Join(dir, "image")
			sparse{size: l.size}.write(t, image)
			script := gptScript
			if strings.HasPrefix(l.name, "dos") {
				script = "label: dos\nlabel-id: 0xcafe\nsize=1MiB\nsize=20MiB, type=5\nsize=2MiB\nsize=3MiB\n"
			}
			if err := os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o666); err != nil {
				t.Fatal(err)
			}
			for _, command := range l.commands {
				words := strings.Fields(command)
				for i, w := range words {
					words[i] = strings.NewReplacer("FILE", image).Replace(w)
					if words[0] == "sgdisk" && strings.Contains(w, ":") {
						words[i] = strings.NewReplacer(":+", ":+", "+", " ").Replace(w)
					}
				}
				must(t, dir, l.stdin, words[0], words[1:]...)
			}
			compareTable(t, image, l.sectorSize, l.want, l.backup, l.keep, l.name)
		})
	}
}

func compareTable(t *testing.T, image string, sectorSize int64, parts int, backup, keep bool, name string) {
	t.Helper()
	sectorSize = max(sectorSize, 512)
	want := theirTable(t, image, sectorSize)
	if got := strings.Count(want, "\n"); parts >= 0 && got != parts || parts < 0 && want != "none" {
		t.Fatalf("partx says\n%s", want)
	}
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ourTable(t, file, info.Size(), sectorSize)); diff != "" {
		t.Errorf("ReadTable (-partx +ours):\n%s", diff)
	}
	table, _ := blkid.ReadTable(file, info.Size(), sectorSize)
	if table.Backup != backup {
		t.Errorf("ReadTable says Backup %v, want %v", table.Backup, backup)
	}
	if disk, _, _ := run(t, "", "", "blkid", "-p", "-o", "value", "-s", "PTUUID", image); sectorSize == 512 && strings.TrimSpace(disk) != table.UUID {
		t.Errorf("ReadTable says UUID %q, blkid %q", table.UUID, disk)
	}
	if *update && keep {
		keepTable(t, name, file, info.Size(), sectorSize, want)
	}
}

// keepTable writes the sectors of a table that are not zero into the corpus.
func keepTable(t *testing.T, name string, r io.ReaderAt, size, sectorSize int64, want string) {
	t.Helper()
	record := recorder{r, map[int64]bool{}}
	ourTable(t, record, size, sectorSize)
	s := blank(size)
	for n := range record.read {
		sector := make([]byte, 512)
		if _, err := r.ReadAt(sector, n*512); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if slices.Max(sector) != 0 {
			s.sectors[n] = sector
		}
	}
	image := filepath.Join(t.TempDir(), "image")
	s.write(t, image)
	if got := theirTable(t, image, sectorSize); got != want {
		t.Fatalf("of the few sectors partx says\n%sof the whole image\n%s", got, want)
	}
	if err := os.WriteFile(filepath.Join(tables, name+".sectors"), s.marshal(), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tables, name+".partx"), []byte(want), 0o666); err != nil {
		t.Fatal(err)
	}
}

// ebr is a boot record of entries of kind, start and size.
func ebr(s sparse, sector int64, entries ...[3]uint32) sparse {
	b := make([]byte, 512)
	for i, e := range entries {
		b[446+16*i+4] = byte(e[0])
		le.PutUint32(b[446+16*i+8:], e[1])
		le.PutUint32(b[446+16*i+12:], e[2])
	}
	b[510], b[511] = 0x55, 0xaa
	if sector == 0 {
		b[440] = 1
	}
	return s.put(sector*512, b)
}

// TestCraftedDOS compares boot records that no program makes.
func TestCraftedDOS(t *testing.T) {
	extended := func() sparse { return ebr(blank(64<<20), 0, [3]uint32{0x83, 2048, 2048}, [3]uint32{5, 8192, 65536}) }
	long := ebr(blank(64<<20), 0, [3]uint32{5, 1000, 100000})
	for i := int64(0); i < 400; i++ {
		ebr(long, 1000+4*i, [3]uint32{0x83, 1, 2}, [3]uint32{5, uint32(4 * (i + 1)), 4})
	}
	for name, s := range map[string]sparse{
		"link to itself":           ebr(extended(), 8192, [3]uint32{0x83, 63, 100}, [3]uint32{5, 0, 100}),
		"link to the first":        ebr(ebr(extended(), 8192, [3]uint32{0x83, 63, 100}, [3]uint32{5, 1000, 100}), 9192, [3]uint32{0x83, 63, 100}, [3]uint32{5, 1000, 100}),
		"empty records in a loop":  ebr(ebr(extended(), 8192, [3]uint32{}, [3]uint32{5, 1000, 100}), 9192, [3]uint32{}, [3]uint32{5, 1000, 100}),
		"link beyond the disk":     ebr(extended(), 8192, [3]uint32{0x83, 63, 100}, [3]uint32{5, 0x7fffffff, 100}),
		"link to the disk's start": ebr(extended(), 8192, [3]uint32{0x83, 63, 100}, [3]uint32{5, 0xffffe000, 100}),
		"link first":               ebr(ebr(extended(), 8192, [3]uint32{5, 1000, 100}, [3]uint32{0x83, 63, 100}), 9192, [3]uint32{0x83, 63, 30}),
		"four entries":             ebr(extended(), 8192, [3]uint32{0x83, 1, 9}, [3]uint32{0x83, 10, 9}, [3]uint32{0x83, 20, 9}, [3]uint32{0x83, 30, 9}),
		"garbage in the last two":  ebr(extended(), 8192, [3]uint32{0x83, 1, 9}, [3]uint32{}, [3]uint32{0x83, 20, 99999}, [3]uint32{0x83, 99999, 1}),
		"no signature":             extended(),
		"two extended partitions": ebr(ebr(ebr(blank(64<<20), 0, [3]uint32{5, 1000, 1000}, [3]uint32{0xf, 3000, 1000}), 1000, [3]uint32{0x83, 1, 2}),
			3000, [3]uint32{0x83, 1, 2}),
		"extended at zero": ebr(blank(64<<20), 0, [3]uint32{5, 0, 1000}),
		"many logical":     long,
		"boot indicator":   extended().put(446, []byte{1}),
		"AIX":              extended().put(0, []byte("\xc9\xc2\xd4\xc1")),
		"beyond the disk":  ebr(blank(1<<20), 0, [3]uint32{0x83, 0xfffffff0, 0xfffffff0}),
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			s.write(t, image)
			want, got := theirTable(t, image, 512), ourTable(t, s, s.size, 512)
			if name == "many logical" { // the kernel has no more than 255, which libblkid does not care about
				var kept []string
				for _, line := range strings.SplitAfter(want, "\n") {
					if _, nr, _ := strings.Cut(line, `NR="`); line != "" {
						if n, _ := strconv.Atoi(nr[:strings.IndexByte(nr, '"')]); n <= 255 {
							kept = append(kept, line)
						}
					}
				}
				want = strings.Join(kept, "")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("ReadTable (-partx +ours):\n%s", diff)
			}
		})
	}
}

// TestTableMutations changes bytes of tables. A checksum covers all of a GPT.
func TestTableMutations(t *testing.T) {
	dos := ebr(ebr(ebr(blank(64<<20), 0, [3]uint32{0x83, 2048, 2048}, [3]uint32{5, 8192, 65536}, [3]uint32{0x0c, 4096, 100}),
		8192, [3]uint32{0x83, 63, 100}, [3]uint32{5, 1000, 200}), 9192, [3]uint32{0x83, 63, 137})
	random := rand.New(rand.NewPCG(2, 2))
	image := filepath.Join(t.TempDir(), "image")
	for range 400 {
		s := dos.clone()
		sector := []int64{0, 8192, 9192}[random.IntN(3)]
		at := sector*512 + 440 + random.Int64N(72)
		value := byte(random.IntN(256))
		// libblkid looks into these partitions for tables of their own, and has 32 bits for sums of sectors.
		if off := (at%512 - 446) % 16; off == 4 && slices.Contains([]byte{0xa5, 0xa9, 0xa6, 0x63, 0x82, 0xbf, 0x81}, value) || off == 11 || off == 15 {
			continue
		}
		s.put(at, []byte{value})
		s.write(t, image)
		if diff := cmp.Diff(theirTable(t, image, 512), ourTable(t, s, s.size, 512)); diff != "" {
			t.Errorf("byte at %#x is %#x (-partx +ours):\n%s", at, value, diff)
		}
	}
}
