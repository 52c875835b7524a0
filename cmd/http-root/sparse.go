//go:build linux

package main

import (
	"bytes"
	"os"
)

const blockSize = 4096 // bytes; a page of memory

// sparseWriter appends to a file that was empty, and leaves blocks of zeros
// out: they take no memory.
type sparseWriter struct {
	file   *os.File
	offset int64 // bytes written
}

func (w *sparseWriter) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := blockLength(w.offset, len(p)-done)
		if isZero(p[done : done+n]) {
			w.offset += int64(n)
			done += n
			continue
		}
		end := done + n
		for end < len(p) {
			n := blockLength(w.offset+int64(end-done), len(p)-end)
			if isZero(p[end : end+n]) {
				break
			}
			end += n
		}
		n, err := w.file.WriteAt(p[done:end], w.offset)
		w.offset += int64(n)
		done += n
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// finish gives the file its length.
func (w *sparseWriter) finish() error {
	return w.file.Truncate(w.offset)
}

// blockLength returns how many of n bytes at offset are in the block there.
func blockLength(offset int64, n int) int {
	return min(n, blockSize-int(offset%blockSize))
}

// isZero is for at least one byte and at most a block.
func isZero(p []byte) bool {
	var zeros [blockSize]byte
	return p[0] == 0 && bytes.Equal(p, zeros[:len(p)])
}
