package blkid_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// image is a device of few sectors of 512 bytes; the others are zero. In a file it is its size in bytes, then the number of
// each sector and its content, numbers as little-endian 64 bits. The files in testdata are what is needed of images that
// the real programs have made, each beside what blkid or partx of util-linux say about it (integration/blkid -update).
type image struct {
	size    int64
	sectors map[int64][]byte

	reads, bytes int
	fail         func(off int64) error // if not nil, says which reads fail
}

func parseImage(b []byte) *image {
	if len(b) < 8 {
		return &image{sectors: map[int64][]byte{}}
	}
	m := &image{size: int64(binary.LittleEndian.Uint64(b) &^ (1 << 63)), sectors: map[int64][]byte{}}
	for b = b[8:]; len(b) >= 520; b = b[520:] {
		m.sectors[int64(binary.LittleEndian.Uint64(b))] = b[8:520]
	}
	return m
}

func (m *image) ReadAt(p []byte, off int64) (int, error) {
	m.reads++
	m.bytes += len(p)
	if off < 0 {
		return 0, fmt.Errorf("offset %d", off)
	}
	if m.fail != nil {
		if err := m.fail(off); err != nil {
			return 0, err
		}
	}
	n := int(max(0, min(int64(len(p)), m.size-off)))
	clear(p[:n])
	for at := off / 512 * 512; at < off+int64(n); at += 512 {
		if sector := m.sectors[at/512]; sector != nil {
			from := max(at, off)
			copy(p[from-off:n], sector[from-at:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readImage reads testdata/<name>.sectors.
func readImage(t testing.TB, name string) *image {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".sectors"))
	if err != nil {
		t.Fatal(err)
	}
	return parseImage(b)
}

// imageNames lists the images in a directory of testdata: "probe/ext4".
func imageNames(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.sectors"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no images in testdata/%s (%v)", dir, err)
	}
	for i, path := range paths {
		paths[i] = dir + "/" + strings.TrimSuffix(filepath.Base(path), ".sectors")
	}
	return paths
}

// golden reads what another program says about an image.
func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
