package bootmedia

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// sector is the unit of a CD, and of what both of its file systems share.
const sector = 2048

// File is a file on a medium.
type File struct {
	Path string // "EFI/BOOT/BOOTX64.EFI"
	Data *io.SectionReader
}

// Bytes is a file whose content is in memory.
func Bytes(path string, data []byte) File {
	return File{path, section(data)}
}

func section(data []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))
}

// extent is a piece of an image.
type extent struct {
	offset int64 // bytes from the image's start
	name   string
	data   *io.SectionReader
}

// writeExtents writes an image of size bytes. Between the extents, which do not
// overlap, it is zero.
func writeExtents(w io.Writer, extents []extent, size int64) error {
	extents = slices.Clone(extents)
	slices.SortStableFunc(extents, func(a, b extent) int { return int(min(max(a.offset-b.offset, -1), 1)) })
	at := int64(0)
	for _, e := range append(extents, extent{offset: size, data: section(nil)}) {
		if e.offset < at {
			return fmt.Errorf("the layout has %s at %d, inside of what ends at %d", e.name, e.offset, at)
		}
		if _, err := io.CopyN(w, zeros{}, e.offset-at); err != nil {
			return err
		}
		n, err := io.Copy(w, io.NewSectionReader(e.data, 0, e.data.Size()))
		if err == nil && n != e.data.Size() {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
		at = e.offset + n
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// roundUp is the next multiple of unit.
func roundUp[T int | int64 | uint32](n, unit T) T { return (n + unit - 1) / unit * unit }
