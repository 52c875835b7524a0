//go:build linux

package blkid

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/blkid"
)

// checked are the images with something that Probe verifies and util-linux 2.38 does not, most of them checksums, and the
// types that must not be looked for when that is damaged.
var checked = map[string][]string{
	"ext2":                ext,
	"ext3":                ext,
	"ext4":                ext,
	"jbd":                 ext,
	"xfs":                 {"xfs"},
	"xfs-4":               {"xfs"}, // the realtime extent, with 32 bits there
	"btrfs":               {"btrfs"},
	"f2fs":                {"f2fs"},
	"f2fs-sum":            {"f2fs"},
	"exfat":               {"exfat"},
	"erofs":               {"erofs"},
	"raid-1.0":            {"linux_raid_member"},
	"raid-1.2":            {"linux_raid_member"},
	"luks2":               {"crypto_LUKS"}, // the offset of the header
	"luks2-second-header": {"crypto_LUKS"},
}

// ext are the types of one superblock. Since Linux 2.6.28 there is no ext4dev, which is ext4 with a flag.
var ext = []string{"ext2", "ext3", "ext4", "ext4dev", "jbd"}

// compare writes an image that is made of those of the corpus called names, and compares both sides. Types that a
// damaged image had had are what blkid must not look for if Probe does not find them.
func compare(t *testing.T, s sparse, image string, names ...string) (want, diff string) {
	t.Helper()
	s.write(t, image)
	want, got := theirs(t, image), ours(t, s, s.size)
	if same(want, got) {
		return want, ""
	}
	var found []string
	sb, err := blkid.Probe(s, s.size)
	var ambiguous *blkid.AmbiguousError
	if errors.As(err, &ambiguous) {
		for _, c := range ambiguous.Candidates {
			found = append(found, c.Type)
		}
	} else if err == nil {
		found = append(found, sb.Type)
	}
	without := []string{"ext4dev"}
	for _, name := range names {
		if !slices.ContainsFunc(checked[name], func(typ string) bool { return slices.Contains(found, typ) }) {
			without = append(without, checked[name]...)
		}
	}
	if same(theirs(t, image, without...), got) {
		return want, ""
	}
	return want, cmp.Diff(want, got)
}

// same compares results. What is not valid UTF-16 becomes something that is not valid UTF-8 with blkid, not with us.
func same(want, got string) bool {
	return want == got || strings.Contains(want, "\xed") && strings.Contains(got, "\ufffd")
}

// names are the images of the corpus in order.
func names(images map[string]sparse) []string {
	var names []string
	for name := range images {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestPairs puts each image over each other one, as stale superblocks lie under new ones.
func TestPairs(t *testing.T) {
	images := readCorpus(t)
	ambivalent := 0
	image := filepath.Join(t.TempDir(), "image")
	for _, bottom := range names(images) {
		for _, top := range names(images) {
			want, diff := compare(t, overlay(images[bottom], images[top]), image, bottom, top)
			if want == "ambivalent" {
				ambivalent++
			}
			if diff != "" {
				t.Errorf("%s over %s (-blkid +ours):\n%s", top, bottom, diff)
			}
		}
	}
	t.Logf("%d pairs, %d of them ambivalent", len(images)*len(images), ambivalent)
	if ambivalent < 10 {
		t.Errorf("only %d pairs are ambivalent", ambivalent)
	}
}

// TestMutations changes bytes of each image, more often those at the start of a sector, where a superblock is.
func TestMutations(t *testing.T) {
	const rounds = 150
	images := readCorpus(t)
	image := filepath.Join(t.TempDir(), "image")
	for i, name := range names(images) {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			original := images[name]
			whole := ours(t, original, original.size)
			numbers := original.numbers()
			changed := 0
			for range rounds {
				s := original.clone()
				var at []int64
				for range 1 + random.IntN(2) {
					off := numbers[random.IntN(len(numbers))]*512 + random.Int64N(512)
					if random.IntN(2) == 0 {
						off = off/512*512 + off%128
					}
					value := byte(random.IntN(256))
					if random.IntN(3) == 0 {
						value = []byte{0, 1, 0x7f, 0x80, 0xff}[random.IntN(5)]
					}
					if value == '\n' {
						continue // which ends a line of blkid's
					}
					s.put(off, []byte{value})
					at = append(at, off)
				}
				want, diff := compare(t, s, image, name)
				if want != whole {
					changed++
				}
				if diff != "" {
					t.Errorf("bytes at %#x changed (-blkid +ours):\n%s", at, diff)
				}
			}
			t.Logf("%d of %d results changed", changed, rounds)
		})
	}
}

// TestTruncated cuts each image off. What lacks a part of its superblock may be nothing for us.
func TestTruncated(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	for name, s := range readCorpus(t) {
		for _, size := range []int64{
			0, 512, 1024, 1536, 2048, 3072, 4096, 8192, 32768, 34816, 36864, 40959, 40960, 65536, 69632, 1 << 20,
			1440 << 10, 1440<<10 + 512, 2 << 20,
		} {
			cut := s.clone()
			cut.size = min(s.size, size)
			for n := range cut.sectors {
				if n*512 >= cut.size {
					delete(cut.sectors, n)
				}
			}
			if _, diff := compare(t, cut, image, name); diff != "" && ours(t, cut, cut.size) != "none" {
				t.Errorf("%s with %d bytes (-blkid +ours):\n%s", name, size, diff)
			}
		}
	}
}
