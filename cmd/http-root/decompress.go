//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow is the memory, in bytes, that a zstd archive may ask for: what zstd
// itself allows, 128 MiB.
const maxWindow = 128 << 20

// decompress returns the archive that is in an image of the given kind, and what
// that is. The caller calls free when it has read enough.
func decompress(r io.Reader, kind format) (plain *bufio.Reader, inner format, free func(), err error) {
	r = bufio.NewReaderSize(r, 64<<10)
	free = func() {}
	switch kind {
	case gzipped:
		r, err = gzip.NewReader(r)
	case xzed:
		r, err = xz.NewReader(r)
	case zstded:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true)); err == nil {
			r, free = d, d.Close
		}
	}
	if err != nil {
		return nil, unknown, nil, fmt.Errorf("unpack %s: %w", kind, err)
	}
	plain = bufio.NewReaderSize(r, 64<<10)
	head, err := plain.Peek(headSize)
	if err != nil && err != io.EOF {
		free()
		return nil, unknown, nil, fmt.Errorf("unpack %s: %w", kind, err)
	}
	inner = identify(head)
	if inner == tarFile || inner == newc {
		return plain, inner, free, nil
	}
	free()
	if inner != unknown {
		return nil, unknown, nil, fmt.Errorf("the image is %s compressed by %s; only archives may be compressed", inner, kind)
	}
	return nil, unknown, nil, errFormat("what "+string(kind)+" has compressed", head)
}
