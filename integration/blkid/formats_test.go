//go:build linux

package blkid

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update writes the corpus of pkg/blkid anew.
var update = flag.Bool("update", false, "write the images of pkg/blkid/testdata anew")

const uuid = "3e6be9de-8139-11d1-9106-a43f08d823a6"

// formats are images and how to make them: FILE is the image, DIR a directory with a file in it. Those with keep go into
// the corpus of pkg/blkid, as few sectors.
var formats = []struct {
	name, typ string
	size      int64
	keep      bool
	stdin     string
	commands  []string // of words that spaces separate; '+' stands for a space in a word
}{
	{name: "ext2", typ: "ext2", size: 1 << 20, keep: true, commands: []string{"mke2fs -q -t ext2 -L wurzel -U " + uuid + " FILE"}},
	{name: "ext3", typ: "ext3", size: 4 << 20, keep: true, commands: []string{"mke2fs -q -t ext3 -L grün -U " + uuid + " FILE"}},
	{name: "ext4", typ: "ext4", size: 4 << 20, keep: true, commands: []string{"mke2fs -q -t ext4 -L sixteen_letters_ FILE"}},
	{name: "ext4-old", typ: "ext4", size: 4 << 20, commands: []string{"mke2fs -q -t ext4 -O ^metadata_csum -b 1024 -U " + uuid + " FILE"}},
	{name: "ext4-64bit", typ: "ext4", size: 16 << 20, commands: []string{"mke2fs -q -t ext4 -O 64bit -b 2048 -L x FILE"}},
	{name: "ext4-64k", typ: "ext4", size: 100 << 20, commands: []string{"mke2fs -q -F -t ext4 -b 65536 FILE"}},
	{name: "ext4-no-journal", typ: "ext4", size: 4 << 20, commands: []string{"mke2fs -q -t ext4 -O ^has_journal FILE"}},
	{name: "jbd", typ: "jbd", size: 2 << 20, keep: true, commands: []string{"mke2fs -q -O journal_dev -b 1024 -L journal FILE"}},

	{name: "xfs", typ: "xfs", size: 300 << 20, keep: true, commands: []string{"mkfs.xfs -q -L grün -m uuid=" + uuid + " FILE"}},
	{name: "xfs-4", typ: "xfs", size: 300 << 20, keep: true, commands: []string{"mkfs.xfs -q -m crc=0 -L twelveletter FILE"}},
	{name: "xfs-4k", typ: "xfs", size: 300 << 20, commands: []string{"mkfs.xfs -q -s size=4096 FILE"}},
	{name: "xfs-1k", typ: "xfs", size: 300 << 20, commands: []string{"mkfs.xfs -q -b size=1024 FILE"}},

	{name: "btrfs", typ: "btrfs", size: 16 << 20, keep: true, commands: []string{`mkfs.btrfs -q --mixed -L Grün+"x" -U ` + uuid + " FILE"}},
	{name: "btrfs-xxhash", typ: "btrfs", size: 109 << 20, keep: true, commands: []string{"mkfs.btrfs -q --csum xxhash FILE"}},
	{name: "btrfs-sha256", typ: "btrfs", size: 109 << 20, commands: []string{"mkfs.btrfs -q --csum sha256 FILE"}},

	{name: "f2fs", typ: "f2fs", size: 64 << 20, keep: true, commands: []string{"mkfs.f2fs -f -l Wurzel+ä😀 FILE"}},
	{name: "f2fs-sum", typ: "f2fs", size: 64 << 20, keep: true, commands: []string{"mkfs.f2fs -f -O extra_attr,inode_checksum,sb_checksum FILE"}},

	{name: "fat12", typ: "vfat", size: 256 << 10, keep: true, commands: []string{"mkfs.vfat -F 12 -n BOOT -i 2e24ec82 FILE"}},
	{name: "fat16", typ: "vfat", size: 8 << 20, keep: true, commands: []string{"mkfs.vfat -F 16 -s 1 -n TWO+WORDS FILE"}},
	{name: "fat16-no-label", typ: "vfat", size: 32 << 20, commands: []string{"mkfs.vfat -F 16 FILE"}},
	{name: "fat32", typ: "vfat", size: 34 << 20, keep: true, commands: []string{"mkfs.vfat -F 32 -s 1 -n EFI FILE"}},
	{name: "fat32-4k", typ: "vfat", size: 300 << 20, commands: []string{"mkfs.vfat -F 32 -S 4096 -s 1 -n X FILE"}},
	{name: "fat32-no-label", typ: "vfat", size: 34 << 20, commands: []string{"mkfs.vfat -F 32 -s 1 FILE"}},
	{name: "exfat", typ: "exfat", size: 4 << 20, keep: true, commands: []string{"mkfs.exfat -L größe😀 FILE"}},
	{name: "exfat-no-label", typ: "exfat", size: 4 << 20, commands: []string{"mkfs.exfat FILE"}},
	{name: "exfat-big-clusters", typ: "exfat", size: 64 << 20, commands: []string{"mkfs.exfat -c 1M -L elevenchars FILE"}},
	{name: "ntfs", typ: "ntfs", size: 2 << 20, keep: true, commands: []string{"mkntfs -q -F -Q -L Grüße+😀 FILE"}},
	{name: "ntfs-4k", typ: "ntfs", size: 16 << 20, commands: []string{"mkntfs -q -F -Q -s 4096 -c 65536 FILE"}},
	{name: "ntfs-small-clusters", typ: "ntfs", size: 4 << 20, commands: []string{"mkntfs -q -F -Q -c 512 -L n FILE"}},
	{name: "ntfs-huge-clusters", typ: "ntfs", size: 64 << 20, commands: []string{"mkntfs -q -F -Q -c 1048576 -L huge FILE"}},

	{name: "squashfs", typ: "squashfs", keep: true, commands: []string{"mksquashfs DIR FILE -quiet -no-progress"}},
	{name: "squashfs-xz", typ: "squashfs", commands: []string{"mksquashfs DIR FILE -quiet -no-progress -comp xz -b 1M"}},
	{name: "erofs", typ: "erofs", keep: true, commands: []string{"mkfs.erofs --quiet -U " + uuid + " FILE DIR"}},
	{name: "erofs-lz4", typ: "erofs", commands: []string{"mkfs.erofs --quiet -z lz4hc FILE DIR"}},

	{name: "iso", typ: "iso9660", keep: true, commands: []string{"genisoimage -quiet -V PLAIN+DISC -o FILE DIR"}},
	{name: "iso-joliet", typ: "iso9660", keep: true, commands: []string{"genisoimage -quiet -V Longer+than+16+letters,+mixed -J -o FILE DIR"}},
	{name: "iso-joliet-utf8", typ: "iso9660", commands: []string{"genisoimage -quiet -V Grüße+von+hier -J -input-charset utf-8 -o FILE DIR"}},
	{name: "iso-xorriso", typ: "iso9660", keep: true, commands: []string{"xorriso -as mkisofs -quiet -V Grüße+xorriso -J -o FILE DIR"}},
	{name: "iso-uuid", typ: "iso9660", commands: []string{"xorriso -as mkisofs -quiet -V ISOIMAGE --modification-date=2024013112005900 -o FILE DIR"}},
	{name: "iso-udf", typ: "udf", keep: true, commands: []string{"genisoimage -quiet -V UDF+Name -udf -o FILE DIR"}},
	{name: "udf-512", typ: "udf", size: 4 << 20, keep: true, commands: []string{"mkudffs --utf8 --media-type=hd --blocksize=512 --label Grüße+512 FILE"}},
	{name: "udf-1024", typ: "udf", size: 4 << 20, commands: []string{"mkudffs --utf8 --media-type=hd --blocksize=1024 --label 日本 FILE"}},
	{name: "udf-2048", typ: "udf", size: 4 << 20, keep: true, commands: []string{"mkudffs --utf8 --media-type=hd --blocksize=2048 --uuid=0123456789abcdef FILE"}},
	{name: "udf-4096", typ: "udf", size: 8 << 20, commands: []string{"mkudffs --utf8 --media-type=hd --blocksize=4096 --label b FILE"}},
	{name: "udf-1.02", typ: "udf", size: 8 << 20, commands: []string{"mkudffs --media-type=dvdram --udfrev=1.02 --label old FILE"}},
	{name: "udf-2.60", typ: "udf", size: 8 << 20, commands: []string{"mkudffs --media-type=bdr --udfrev=2.60 --label new FILE"}},
	{name: "udf-upper", typ: "udf", size: 8 << 20, commands: []string{"mkudffs --media-type=hd --fullvsid=0123ABCDNotHexAtAll FILE"}},
	{name: "udf-words", typ: "udf", size: 8 << 20, commands: []string{"mkudffs --utf8 --media-type=hd --fullvsid=Grüße,+and+no+digits FILE"}},
	{name: "udf-short", typ: "udf", size: 8 << 20, commands: []string{"mkudffs --utf8 --media-type=hd --fullvsid=日本日本日本 FILE"}},

	{name: "swap", typ: "swap", size: 1 << 20, keep: true, commands: []string{"mkswap -q -L grün -U " + uuid + " FILE"}},
	{name: "swap-64k", typ: "swap", size: 1 << 20, commands: []string{"mkswap -q -p 65536 -L big FILE"}},
	{name: "swap-8k", typ: "swap", size: 1 << 20, commands: []string{"mkswap -q -p 8192 FILE"}},

	{name: "luks1", typ: "crypto_LUKS", size: 4 << 20, keep: true, stdin: "pw", commands: []string{
		"cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 --uuid " + uuid + " FILE -"}},
	{name: "luks2", typ: "crypto_LUKS", size: 20 << 20, keep: true, stdin: "pw", commands: []string{
		"cryptsetup -q luksFormat --type luks2 --label grün+2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --uuid " + uuid + " FILE -"}},
	{name: "luks2-second-header", typ: "crypto_LUKS", size: 20 << 20, keep: true, stdin: "pw", commands: []string{
		"cryptsetup -q luksFormat --type luks2 --label second --pbkdf pbkdf2 --pbkdf-force-iterations 1000 FILE -",
		"dd if=/dev/zero of=FILE bs=4096 count=1 conv=notrunc status=none"}},
	{name: "luks2-64k", typ: "crypto_LUKS", size: 20 << 20, stdin: "pw", commands: []string{
		"cryptsetup -q luksFormat --type luks2 --luks2-metadata-size 64k --pbkdf pbkdf2 --pbkdf-force-iterations 1000 FILE -",
		"dd if=/dev/zero of=FILE bs=4096 count=1 conv=notrunc status=none"}},
	{name: "garbage", typ: "none", size: 4 << 20, commands: []string{"dd if=/dev/urandom of=FILE bs=1M count=4 status=none"}},
	{name: "empty", typ: "none", size: 4 << 20},
	{name: "tiny", typ: "none", size: 1024},
}

// TestProbe compares each field that a Superblock and blkid both have.
func TestProbe(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			dir := t.TempDir()
			image := filepath.Join(dir, "image")
			content := filepath.Join(dir, "content")
			if err := os.Mkdir(content, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(content, "file"), bytes.Repeat([]byte("text\n"), 10000), 0o666); err != nil {
				t.Fatal(err)
			}
			if f.size > 0 { // else the program makes it
				sparse{size: f.size}.write(t, image)
			}
			for _, command := range f.commands {
				words := strings.Fields(command)
				for i, w := range words {
					words[i] = strings.NewReplacer("+", " ", "FILE", image, "DIR", content).Replace(w)
				}
				must(t, dir, f.stdin, words[0], words[1:]...)
			}

			want := theirs(t, image)
			if !strings.HasPrefix(want, "TYPE="+f.typ+"\n") && want != f.typ {
				t.Fatalf("blkid says\n%s", want)
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
			if diff := cmp.Diff(want, ours(t, file, info.Size())); diff != "" {
				t.Errorf("Probe (-blkid +ours):\n%s", diff)
			}
			if *update && f.keep {
				keep(t, f.name, minimal(t, file, info.Size()), want)
			}
		})
	}
}

// recorder notes which sectors are read.
type recorder struct {
	io.ReaderAt
	read map[int64]bool
}

func (r recorder) ReadAt(p []byte, off int64) (int, error) {
	for n := off / 512; n*512 < off+int64(len(p)); n++ {
		r.read[n] = true
	}
	return r.ReaderAt.ReadAt(p, off)
}

// minimal leaves of an image the sectors without which Probe would say something else.
func minimal(t *testing.T, r io.ReaderAt, size int64) sparse {
	t.Helper()
	record := recorder{r, map[int64]bool{}}
	want := ours(t, record, size)
	s := sparse{size: size, sectors: map[int64][]byte{}}
	for n := range record.read {
		sector := make([]byte, 512)
		if _, err := r.ReadAt(sector, n*512); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if bytes.ContainsFunc(sector, func(c rune) bool { return c != 0 }) {
			s.sectors[n] = sector
		}
	}
	for _, n := range s.numbers() {
		sector := s.sectors[n]
		delete(s.sectors, n)
		if ours(t, s, size) != want {
			s.sectors[n] = sector
		}
	}
	return s
}

// keep writes an image into the corpus, and what blkid says about it.
func keep(t *testing.T, name string, s sparse, want string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	s.write(t, image)
	if got := theirs(t, image); got != want {
		t.Fatalf("of the few sectors blkid says\n%sof the whole image\n%s", got, want)
	}
	if err := os.WriteFile(filepath.Join(corpus, name+".sectors"), s.marshal(), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corpus, name+".blkid"), []byte(want), 0o666); err != nil {
		t.Fatal(err)
	}
}
