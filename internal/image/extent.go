package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// cursor reads an image from front to back, up to size.
type cursor struct {
	r         io.ReaderAt
	pos, size int64
}

// peek returns the next n bytes; n is small or has been checked.
func (c *cursor) peek(n int64) ([]byte, error) {
	if n > c.size-c.pos {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	if got, err := c.r.ReadAt(b, c.pos); int64(got) < n {
		return nil, noEOF(err)
	}
	return b, nil
}

func (c *cursor) read(n int64) ([]byte, error) {
	b, err := c.peek(n)
	if err == nil {
		c.pos += n
	}
	return b, err
}

func (c *cursor) byte() (byte, error) {
	b, err := c.read(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (c *cursor) skip(n int64) error {
	if n > c.size-c.pos {
		return io.ErrUnexpectedEOF
	}
	c.pos += n
	return nil
}

// zstdEnd returns where the zstd frame at c ends (RFC 8878, section 3.1.1).
func zstdEnd(c cursor) (int64, error) {
	start, err := c.read(5)
	if err != nil {
		return 0, err
	}
	descriptor := start[4]
	singleSegment := descriptor&(1<<5) != 0
	hasChecksum := descriptor&(1<<2) != 0
	header := int64([...]int{0, 1, 2, 4}[descriptor&3]) // dictionary ID
	switch sizeFlag := descriptor >> 6; {
	case sizeFlag > 0:
		header += 1 << sizeFlag
	case singleSegment:
		header++
	}
	if !singleSegment {
		header++ // window descriptor
	}
	if err := c.skip(header); err != nil {
		return 0, err
	}
	for last := false; !last; {
		b, err := c.read(3)
		if err != nil {
			return 0, err
		}
		word := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		last = word&1 != 0
		size := word >> 3
		const runLength = 1 // one byte stands for many
		if word>>1&3 == runLength {
			size = 1
		}
		if err := c.skip(size); err != nil {
			return 0, err
		}
	}
	if hasChecksum {
		if err := c.skip(4); err != nil {
			return 0, err
		}
	}
	return c.pos, nil
}

// xzEnd returns where the xz stream at c ends (the .xz file format, version
// 1.1.0). It refuses dictionaries above maxWindow, which the decoder would
// allocate, and filters other than LZMA2, which it does not have.
func xzEnd(c cursor) (int64, error) {
	start, err := c.read(12)
	if err != nil {
		return 0, err
	}
	checkSize, ok := map[byte]int64{0: 0, 1: 4, 4: 8, 10: 32}[start[7]]
	if !ok {
		return 0, fmt.Errorf("xz check of type %d", start[7])
	}
	for {
		begin := c.pos
		sizeByte, err := c.byte()
		if err != nil {
			return 0, err
		}
		if sizeByte == 0 {
			return xzIndexEnd(c, begin)
		}
		c.pos = begin
		header, err := c.read((int64(sizeByte) + 1) * 4)
		if err != nil {
			return 0, err
		}
		if err := checkXZFilters(header); err != nil {
			return 0, err
		}
		if err := skipLZMA2(&c); err != nil {
			return 0, err
		}
		if err := c.skip(round4(c.pos-begin) - (c.pos - begin) + checkSize); err != nil {
			return 0, err
		}
	}
}

// checkXZFilters reads a block header.
func checkXZFilters(header []byte) error {
	flags, rest := header[1], header[2:]
	number := func() uint64 {
		n, size := binary.Uvarint(rest)
		rest = rest[max(size, 0):]
		return n
	}
	for _, present := range [...]bool{flags&0x40 != 0, flags&0x80 != 0} {
		if present {
			number() // packed and unpacked size
		}
	}
	const lzma2 = 0x21
	if id := number(); flags&3 != 0 || id != lzma2 {
		return errors.New("the xz stream has a filter other than LZMA2, which rambox cannot read")
	}
	if number() != 1 || len(rest) == 0 {
		return errors.New("xz block header: LZMA2 without its one property")
	}
	// 2 or 3 times a power of two: 0 is 4 KiB, 40 is 4 GiB less one.
	property := rest[0]
	if dictionary := uint64(2|property&1) << (property/2 + 11); property > 40 || dictionary > maxWindow {
		return fmt.Errorf("the xz dictionary (property %d) is larger than %d bytes", property, maxWindow)
	}
	return nil
}

// skipLZMA2 skips the chunks of a block; each begins with its kind and size.
func skipLZMA2(c *cursor) error {
	for {
		control, err := c.byte()
		if err != nil || control == 0 {
			return err
		}
		const packed, withProperties = 0x80, 0xc0
		switch {
		case control >= packed:
			sizes, err := c.read(4)
			if err != nil {
				return err
			}
			size := int64(binary.BigEndian.Uint16(sizes[2:])) + 1
			if control >= withProperties {
				size++
			}
			if err := c.skip(size); err != nil {
				return err
			}
		case control <= 2:
			size, err := c.read(2)
			if err != nil {
				return err
			}
			if err := c.skip(int64(binary.BigEndian.Uint16(size)) + 1); err != nil {
				return err
			}
		default:
			return fmt.Errorf("LZMA2 chunk of kind 0x%02x", control)
		}
	}
}

// xzIndexEnd skips the index, whose indicator byte has been read, and the
// footer.
func xzIndexEnd(c cursor, begin int64) (int64, error) {
	number := func() (n uint64, err error) {
		return binary.ReadUvarint(byteFunc(c.byte))
	}
	records, err := number()
	if err != nil {
		return 0, noEOF(err)
	}
	for range records {
		for range 2 {
			if _, err := number(); err != nil {
				return 0, noEOF(err)
			}
		}
	}
	const crc, footer = 4, 12
	if err := c.skip(round4(c.pos-begin) - (c.pos - begin) + crc + footer); err != nil {
		return 0, err
	}
	return c.pos, nil
}

type byteFunc func() (byte, error)

func (f byteFunc) ReadByte() (byte, error) { return f() }
