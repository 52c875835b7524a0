package image

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// maxWindow bounds the memory that a compressed stream may ask for, in bytes.
// It is the kernel's own bound for zstd (lib/decompress_unzstd.c, v6.12); xz
// and lzma reach it at twice what xz -9 makes.
const maxWindow = 128 << 20

// unpacker reads one compressed stream and knows where it ends.
type unpacker struct {
	io.Reader
	close    func()
	consumed func() int64 // bytes of the image that the stream takes, once it has been read
}

func (u *unpacker) Close() error {
	if u.close != nil {
		u.close()
	}
	return nil
}

// newUnpacker reads the stream at start of an image of size bytes.
func newUnpacker(r io.ReaderAt, start, size int64, c Compression) (*unpacker, error) {
	switch c {
	case Gzip, Bzip2, LZMA:
		return newByteUnpacker(io.NewSectionReader(r, start, size-start), c)
	case LZ4:
		blocks := &lz4Reader{in: cursor{r, start, size}}
		return &unpacker{Reader: blocks, consumed: func() int64 { return blocks.in.pos - start }}, nil
	case Zstd:
		end, err := zstdEnd(cursor{r, start, size})
		if err != nil {
			return nil, err
		}
		z, err := zstd.NewReader(io.NewSectionReader(r, start, end-start),
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return &unpacker{Reader: z, close: z.Close, consumed: func() int64 { return end - start }}, nil
	case XZ:
		end, err := xzEnd(cursor{r, start, size})
		if err != nil {
			return nil, err
		}
		x, err := xz.ReaderConfig{SingleStream: true}.NewReader(bufio.NewReader(io.NewSectionReader(r, start, end-start)))
		if err != nil {
			return nil, err
		}
		return &unpacker{Reader: x, consumed: func() int64 { return end - start }}, nil
	}
	return nil, fmt.Errorf("it is packed with %s, which rambox cannot read", c)
}

// newByteUnpacker is for formats whose decoders take one byte after another
// and no more than they need.
func newByteUnpacker(section io.Reader, c Compression) (*unpacker, error) {
	in := &byteReader{r: bufio.NewReader(section)}
	u := &unpacker{consumed: func() int64 { return in.n }}
	switch c {
	case Gzip:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		z.Multistream(false) // as the kernel
		u.Reader = z
	case LZMA:
		l, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(in)
		if err != nil {
			return nil, err
		}
		u.Reader = l
	case Bzip2:
		u.Reader = &bzip2Reader{bzip2.NewReader(in), in}
	}
	return u, nil
}

// byteReader counts what a decoder takes.
type byteReader struct {
	r *bufio.Reader
	n int64
}

func (b *byteReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	return n, err
}

func (b *byteReader) ReadByte() (byte, error) {
	c, err := b.r.ReadByte()
	if err == nil {
		b.n++
	}
	return c, err
}

// bzip2Reader ends at the end of the first stream. The decoder looks for
// another one in the two bytes after it.
type bzip2Reader struct {
	z  io.Reader
	in *byteReader
}

const errNoBzip2 = bzip2.StructuralError("bad magic value in continuation file")

func (b *bzip2Reader) Read(p []byte) (int, error) {
	n, err := b.z.Read(p)
	var fault bzip2.StructuralError
	if errors.As(err, &fault) && fault == errNoBzip2 {
		b.in.n -= 2
		err = io.EOF
	}
	return n, err
}

// lz4Reader reads the legacy frame of lz4: blocks of at most 8 MiB, each after
// its length, little-endian. It ends as unlz4 does (lib/decompress_unlz4.c,
// v6.12): at the end of the image or at a length of 0.
type lz4Reader struct {
	in    cursor
	begun bool
	block []byte // unpacked
	left  []byte // of block
}

const (
	lz4Magic     = 0x184c2102
	lz4BlockSize = 8 << 20
)

func (l *lz4Reader) Read(p []byte) (int, error) {
	for len(l.left) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.left)
	l.left = l.left[n:]
	return n, nil
}

func (l *lz4Reader) next() error {
	word, err := l.in.peek(4)
	if err != nil {
		if l.begun {
			return io.EOF
		}
		return err
	}
	length := int64(binary.LittleEndian.Uint32(word))
	switch {
	case length == lz4Magic:
		l.begun = true
		return l.in.skip(4)
	case length == 0:
		return io.EOF
	case length > int64(lz4.CompressBlockBound(lz4BlockSize)):
		return fmt.Errorf("lz4 block at %d: %d bytes, want at most 8 MiB unpacked", l.in.pos, length)
	}
	if err := l.in.skip(4); err != nil {
		return err
	}
	packed, err := l.in.read(length)
	if err != nil {
		return err
	}
	if l.block == nil {
		l.block = make([]byte, lz4BlockSize)
	}
	n, err := lz4.UncompressBlock(packed, l.block)
	if err != nil {
		return fmt.Errorf("lz4 block at %d: %w", l.in.pos-length, err)
	}
	l.left = l.block[:n]
	return nil
}
