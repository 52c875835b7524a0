package blkid

import (
	"errors"
	"io"
	"math"
)

// device reads from r, and remembers the head of it and the first error.
type device struct {
	r    io.ReaderAt
	size int64
	head []byte
	err  error
}

// newDevice reads n bytes at the start, or the whole device if it has less.
func newDevice(r io.ReaderAt, size, n int64) *device {
	d := &device{r: r, size: size}
	d.head = d.read(0, int(max(0, min(size, n))))
	return d
}

// at returns n bytes at offset off, or nil if the device has not so many or does not give them. The caller sees to it that
// what the device says does not make n large.
func (d *device) at(off int64, n int) []byte {
	if off < 0 || n < 0 || off > d.size-int64(n) {
		return nil
	}
	if int64(n) <= int64(len(d.head))-off {
		return d.head[off : off+int64(n) : off+int64(n)]
	}
	b := d.read(off, n)
	if len(b) < n {
		return nil
	}
	return b
}

// read returns up to n bytes at off.
func (d *device) read(off int64, n int) []byte {
	b := make([]byte, n)
	got, err := d.r.ReadAt(b, off)
	got = max(0, min(got, n))
	// A device that ends early has nothing there, which is no error.
	if got < n && err != nil && d.err == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		d.err = err
	}
	return b[:got]
}

// product is a*b, or 0 if that is no possible size.
//
//go:noinline
func product(a, b uint64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return 0
	}
	return int64(a * b)
}
