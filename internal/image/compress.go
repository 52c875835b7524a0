package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// Compression is how an archive is packed.
type Compression string

const (
	None  Compression = "none"
	Zstd  Compression = "zstd"
	Gzip  Compression = "gzip"
	XZ    Compression = "xz"
	LZ4   Compression = "lz4" // the legacy frame, the only one that the kernel reads
	LZMA  Compression = "lzma"
	Bzip2 Compression = "bzip2"
	LZO   Compression = "lzo"

	// By the zstd and xz programs at their highest level: a sixth smaller, in
	// seconds. Another version of the program may give other bytes.
	ZstdBest Compression = "zstd-best"
	XZBest   Compression = "xz-best"
)

// Format is c's without the effort: zstd for zstd-best.
func (c Compression) Format() Compression {
	format, _ := strings.CutSuffix(string(c), "-best")
	return Compression(format)
}

// Compressions lists what [Tree.Write] can make, the default first. The others
// can only be read, and LZO only be recognised.
func Compressions() []Compression { return []Compression{Zstd, Gzip, XZ, LZ4, None} }

// ParseCompression reads a name such as "zstd"; "" is the default.
func ParseCompression(name string) (Compression, error) {
	if name == "" {
		return Zstd, nil
	}
	all := append(Compressions(), ZstdBest, XZBest)
	if c := Compression(name); slices.Contains(all, c) {
		return c, nil
	}
	return "", fmt.Errorf("compression %q: want one of %s", name, join(all))
}

func join(list []Compression) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// magics are the first bytes by which the kernel knows a compression
// (lib/decompress.c, v6.12). The second of lz4 is the modern frame, which the
// kernel does not know.
var magics = [...]struct {
	first string
	is    Compression
}{
	{"\x1f\x8b", Gzip}, {"\x1f\x9e", Gzip}, {"BZh", Bzip2}, {"\x5d\x00", LZMA}, {"\xfd7zXZ\x00", XZ},
	{"\x89LZO", LZO}, {"\x02\x21\x4c\x18", LZ4}, {"\x28\xb5\x2f\xfd", Zstd},
}

// detect names the compression that data begins with.
func detect(data []byte) (Compression, bool) {
	for _, m := range magics {
		if bytes.HasPrefix(data, []byte(m.first)) {
			return m.is, true
		}
	}
	return "", false
}

// Sizes are the bytes of an archive before and after compression.
type Sizes struct {
	Raw    int64
	Stored int64
}

// Write writes the tree as a newc archive, compressed with c. The same tree
// gives the same bytes, however many processors there are.
func (t *Tree) Write(w io.Writer, c Compression) (Sizes, error) {
	sizes := Sizes{Raw: t.archiveSize()}
	counted := &countingWriter{w: w}
	packed, err := compressor(counted, c, sizes.Raw)
	if err != nil {
		return Sizes{}, err
	}
	if err := t.writeArchive(packed); err != nil {
		if end := packed.Close(); end != nil && errors.Is(err, syscall.EPIPE) {
			err = end // a program that packs knows why
		}
		return Sizes{}, err
	}
	if err := packed.Close(); err != nil {
		return Sizes{}, fmt.Errorf("compress with %s: %w", c, err)
	}
	sizes.Stored = counted.n
	return sizes, nil
}

// compressor returns a writer that packs raw bytes in all into w.
func compressor(w io.Writer, c Compression, raw int64) (io.WriteCloser, error) {
	switch c {
	case None:
		return nopCloser{w}, nil
	case Zstd, "":
		// The kernel allocates the window to unpack, so a small image asks for
		// a small one. The next level, SpeedBestCompression, takes 6 % off an
		// image of init and busybox and six times as long; see BenchmarkBuild.
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(window(raw)))
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.DefaultCompression)
	case XZ:
		// The kernel's decoder checks CRC32 and no other sum (lib/xz, v6.12).
		return xz.WriterConfig{CheckSum: xz.CRC32, DictCap: window(raw)}.NewWriter(w)
	case LZ4:
		packed := lz4.NewWriter(w)
		return packed, packed.Apply(lz4.LegacyOption(true), lz4.CompressionLevelOption(lz4.Level1), lz4.ConcurrencyOption(-1))
	case ZstdBest:
		return startPacker(w, "zstd", "-q", "-c", "--ultra", "-22", "--single-thread", "--no-check", fmt.Sprintf("--zstd=wlog=%d", bits.Len(uint(window(raw)))-1))
	case XZBest:
		return startPacker(w, "xz", "-q", "-c", "--check=crc32", fmt.Sprintf("--lzma2=preset=9e,dict=%d", window(raw)))
	}
	return nil, fmt.Errorf("compression %q: want one of %s", c, join(Compressions()))
}

// window is how far back a match may lie, in bytes, for an archive of raw
// bytes: a power of two from 1 to 8 MiB.
func window(raw int64) int {
	const low, high = 1 << 20, 8 << 20
	return min(max(1<<bits.Len64(uint64(raw/4)), low), high)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
