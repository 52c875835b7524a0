package netboot

import (
	"errors"
	"io"
)

// blockStart is where a block of a transfer begins. In octet mode that is an offset
// alone.
type blockStart struct {
	offset  int64
	pending byte // netascii: the second byte of a pair whose first one ended the block before
	split   bool // there is one
}

// block fills b from p on, and returns where the next block begins. Fewer bytes
// than len(b) are the end of the file, of which size says where it is.
func (p blockStart) block(b []byte, file io.ReaderAt, size int64, netascii bool) (n int, next blockStart, err error) {
	if netascii {
		return p.netascii(b, file, size)
	}
	want := min(int64(len(b)), size-p.offset)
	n, err = readFull(file, b[:want], p.offset)
	return n, blockStart{offset: p.offset + int64(n)}, err
}

// netascii is block for text: a line ends with CR LF, and a CR by itself is CR
// NUL (RFC 764).
func (p blockStart) netascii(b []byte, file io.ReaderAt, size int64) (n int, next blockStart, err error) {
	if p.split && len(b) > 0 {
		b[0] = p.pending
		n, p.split = 1, false
	}
	var raw [512]byte
	for n < len(b) && p.offset < size {
		// At least one byte becomes of each, so no more than fits is read.
		want := min(int64(len(b)-n), size-p.offset, int64(len(raw)))
		got, err := readFull(file, raw[:want], p.offset)
		if err != nil {
			return n, p, err
		}
		for _, c := range raw[:got] {
			if n == len(b) {
				break
			}
			p.offset++
			first, second, pair := netasciiPair(c)
			b[n] = first
			n++
			switch {
			case pair && n < len(b):
				b[n] = second
				n++
			case pair:
				p.pending, p.split = second, true
			}
		}
	}
	return n, p, nil
}

func netasciiPair(c byte) (first, second byte, pair bool) {
	switch c {
	case '\n':
		return '\r', '\n', true
	case '\r':
		return '\r', 0, true
	}
	return c, 0, false
}

// readFull reads all of b. A file that has become shorter is an error.
func readFull(file io.ReaderAt, b []byte, offset int64) (int, error) {
	n, err := file.ReadAt(b, offset)
	switch {
	case n == len(b):
		return n, nil
	case errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
