package bootmedia

import (
	"fmt"
	"io"
	"slices"
)

// Layout is an image that is read where its parts are, and is written nowhere.
// It is safe for concurrent use as far as its parts are.
type Layout struct {
	extents []extent // in order, and apart
	size    int64
}

// Size is in bytes.
func (l *Layout) Size() int64 { return l.size }

// ReadAt implements [io.ReaderAt]. A part that has become shorter is an
// [io.ErrUnexpectedEOF].
func (l *Layout) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at %d", offset)
	}
	done := 0
	for done < len(p) && offset < l.size {
		n, err := l.read(p[done:int64(done)+min(int64(len(p)-done), l.size-offset)], offset)
		done, offset = done+n, offset+int64(n)
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// read reads something of one extent, or of the zeros before the next one.
func (l *Layout) read(p []byte, offset int64) (int, error) {
	i, found := slices.BinarySearchFunc(l.extents, offset, func(e extent, at int64) int { return int(min(max(e.offset-at, -1), 1)) })
	if !found {
		i-- // the last one that begins before
	}
	next := l.size
	if i+1 < len(l.extents) {
		next = l.extents[i+1].offset
	}
	p = p[:min(int64(len(p)), next-offset)]
	if i < 0 || offset >= l.extents[i].offset+l.extents[i].data.Size() {
		clear(p)
		return len(p), nil
	}
	e := l.extents[i]
	at := offset - e.offset
	p = p[:min(int64(len(p)), e.data.Size()-at)]
	n, err := e.data.ReadAt(p, at)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("read %s: %w", e.name, err)
}
