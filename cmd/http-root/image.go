//go:build linux

package main

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"os"

	"golang.org/x/sys/unix"
)

// image is a file in memory that has no name: when the last process or loop
// device lets go of it, however that comes about, its memory is free again. No
// file system limits its size; its writer does.
type image struct {
	file *os.File
	out  sparseWriter
	hash hash.Hash // of what has been written
}

func newImage() (*image, error) {
	const name = "rambox-root"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("create a file in memory: %w (the kernel needs TMPFS)", err)
	}
	file := os.NewFile(uintptr(fd), name)
	return &image{file: file, out: sparseWriter{file: file}, hash: sha256.New()}, nil
}

// Write appends.
func (i *image) Write(p []byte) (int, error) {
	i.hash.Write(p)
	return i.out.Write(p)
}

// size is the number of bytes written.
func (i *image) size() int64 { return i.out.offset }

func (i *image) digest() digest { return digest(i.hash.Sum(nil)) }

// discard takes back all that has been written.
func (i *image) discard() error {
	i.hash.Reset()
	i.out.offset = 0
	return i.file.Truncate(0)
}
