//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	newcHeader  = 6 + 13*8 // bytes: the magic and the fields
	newcTrailer = "TRAILER!!!"
	newcMaxName = 4096 // bytes, with the NUL: PATH_MAX, the kernel's limit as well
)

// The fields of a header that count here, in the order of the header.
const (
	newcInode = iota
	newcMode
	newcUID
	newcGID
	newcLinks
	newcTime
	newcSize
	newcMajor
	newcMinor
	newcRMajor
	newcRMinor
	newcNameSize
)

// newcReader reads cpio archives of the newc format, one after another with
// zeros between them, as the kernel does (buffer-format.rst in Documentation/
// driver-api/early-userspace, and init/initramfs.c, v6.12). Checksums, which
// 070702 has, are not compared.
type newcReader struct {
	r     *bufio.Reader
	links map[newcFile]string // the first names of files that have several
}

// newcFile is what all names of a file have in common.
type newcFile struct {
	major, minor, inode, kind uint32
}

// eachNewc calls add for each entry. The body of an entry can be read until add
// returns.
func eachNewc(r *bufio.Reader, add func(entry) error) error {
	n := &newcReader{r: r, links: map[newcFile]string{}}
	for {
		e, size, err := n.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cpio archive: %w", err)
		}
		body := &wholeReader{io.LimitedReader{R: r, N: size}}
		if e.mode&unix.S_IFMT == unix.S_IFREG && (size > 0 || e.hard == "") {
			e.body = body
		}
		if err := add(e); err != nil {
			return err
		}
		if _, err = io.Copy(io.Discard, body); err == nil {
			err = n.skip(-size & 3)
		}
		if err != nil {
			return fmt.Errorf("cpio archive: %s: %w", strconv.Quote(e.name), err)
		}
	}
}

// next reads an entry up to its body of size bytes. io.EOF is the end, after a
// trailer.
func (n *newcReader) next() (e entry, size int64, _ error) {
	for {
		fields, name, err := n.header()
		if err != nil {
			return entry{}, 0, noEnd(err)
		}
		if name != newcTrailer {
			return n.entry(fields, name)
		}
		clear(n.links)
		if err := n.skipZeros(); err != nil {
			return entry{}, 0, err
		}
	}
}

// header reads the fields of a header and the name behind it.
func (n *newcReader) header() (fields [13]uint32, name string, _ error) {
	var head [newcHeader]byte
	if _, err := io.ReadFull(n.r, head[:]); err != nil {
		return fields, "", err
	}
	if magic := string(head[:6]); magic != "070701" && magic != "070702" {
		return fields, "", fmt.Errorf("%q where a header must be", magic)
	}
	for i := range fields {
		text := string(head[6+8*i:][:8])
		v, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return fields, "", fmt.Errorf("%q where a hexadecimal number must be", text)
		}
		fields[i] = uint32(v)
	}
	size := fields[newcNameSize]
	if size == 0 || size > newcMaxName {
		return fields, "", fmt.Errorf("a name of %d bytes", size)
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(n.r, buf); err != nil {
		return fields, "", err
	}
	name = unix.ByteSliceToString(buf)
	if name == newcTrailer {
		return fields, name, nil // the end may be cut short here
	}
	return fields, name, n.skip(-(newcHeader + int64(size)) & 3)
}

func (n *newcReader) entry(fields [13]uint32, name string) (e entry, size int64, _ error) {
	e = entry{
		name:  name,
		mode:  fields[newcMode],
		uid:   int64(fields[newcUID]),
		gid:   int64(fields[newcGID]),
		mtime: time.Unix(int64(fields[newcTime]), 0),
		major: fields[newcRMajor],
		minor: fields[newcRMinor],
	}
	size = int64(fields[newcSize])
	kind := e.mode & unix.S_IFMT
	if fields[newcLinks] > 1 && kind != unix.S_IFDIR {
		file := newcFile{fields[newcMajor], fields[newcMinor], fields[newcInode], kind}
		if first, ok := n.links[file]; ok {
			e.hard = first
		} else {
			n.links[file] = name
		}
	}
	if kind != unix.S_IFLNK {
		return e, size, nil
	}
	if size > newcMaxName {
		return entry{}, 0, fmt.Errorf("%q: a symbolic link of %d bytes", name, size)
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(n.r, buf); err != nil {
		return entry{}, 0, noEnd(err)
	}
	e.link = unix.ByteSliceToString(buf)
	return e, 0, n.skip(-size & 3)
}

// skip leaves out padding.
func (n *newcReader) skip(bytes int64) error {
	_, err := n.r.Discard(int(bytes))
	return noEnd(err)
}

// skipZeros leaves out all that may be between two archives.
func (n *newcReader) skipZeros() error {
	for {
		switch c, err := n.r.ReadByte(); {
		case err != nil:
			return err
		case c != 0:
			return n.r.UnreadByte()
		}
	}
}

// wholeReader takes an end before the limit for an error.
type wholeReader struct {
	io.LimitedReader
}

func (w *wholeReader) Read(p []byte) (int, error) {
	n, err := w.LimitedReader.Read(p)
	if w.N > 0 {
		err = noEnd(err)
	}
	return n, err
}

// noEnd is for places where an archive cannot end.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
