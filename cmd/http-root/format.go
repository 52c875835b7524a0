//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// headSize is how many bytes identify wants to see.
const headSize = 2048

// format is what an image is, by its content.
type format string

const (
	unknown  format = ""
	squashfs format = "squashfs"
	erofs    format = "erofs"
	extFS    format = "ext2/3/4"
	tarFile  format = "tar"
	newc     format = "cpio"
	gzipped  format = "gzip"
	zstded   format = "zstd"
	xzed     format = "xz"
)

// types returns the file systems of the kernel that may mount the image.
func (f format) types() []string {
	switch f {
	case squashfs, erofs:
		return []string{string(f)}
	case extFS:
		// ext4's driver mounts all three; a kernel may have ext2's alone.
		return []string{"ext4", "ext2"}
	}
	return nil
}

func (f format) isReadOnly() bool   { return f == squashfs || f == erofs }
func (f format) isCompressed() bool { return f == gzipped || f == zstded || f == xzed }
func (f format) isArchive() bool    { return f == tarFile || f == newc || f.isCompressed() }

// identify looks at the first headSize bytes, or fewer if the image is shorter.
// What is at its beginning counts before what is inside: an archive may have
// anything there.
func identify(head []byte) format {
	is := func(offset int, magic string) bool {
		return len(head) >= offset && strings.HasPrefix(string(head[offset:]), magic)
	}
	switch {
	case is(0, "hsqs"): // SQUASHFS_MAGIC, little-endian as of version 4
		return squashfs
	case is(0, "\x1f\x8b"): // RFC 1952, 2.3.1
		return gzipped
	case is(0, "\x28\xb5\x2f\xfd"), isSkippable(head): // RFC 8878, 3.1.1 and 3.1.2
		return zstded
	case is(0, "\xfd7zXZ\x00"):
		return xzed
	case is(0, "070701"), is(0, "070702"): // initramfs/buffer-format.rst
		return newc
	case is(257, "ustar"): // POSIX's "ustar\0" and GNU's "ustar "
		return tarFile
	case is(1024, "\xe2\xe1\xf5\xe0"): // EROFS_SUPER_MAGIC_V1
		return erofs
	case is(1024+0x38, "\x53\xef"): // s_magic of the superblock
		return extFS
	}
	return unknown
}

// isSkippable finds the frame that pzstd and others begin with.
func isSkippable(head []byte) bool {
	return len(head) >= 4 && binary.LittleEndian.Uint32(head)&^0xf == 0x184d2a50
}

// format reads the beginning of the image.
func (i *image) format() (format, error) {
	head := make([]byte, headSize)
	n, err := i.file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return unknown, fmt.Errorf("read the image: %w", err)
	}
	return identify(head[:n]), nil
}

// errFormat is about an image that begins with head.
func errFormat(what string, head []byte) error {
	return fmt.Errorf("%s is neither a file system (squashfs, erofs, ext2/3/4) nor an archive (tar, or cpio made with -H newc; plain, gzip, zstd or xz); it begins with %q",
		what, head[:min(len(head), 16)])
}

// squashfsCompression names the compression of a squashfs (Documentation/
// filesystems/squashfs.rst): a kernel need not know them all.
func squashfsCompression(head []byte) string {
	const offset = 20 // of the compression in struct squashfs_super_block
	names := [...]string{1: "zlib", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
	if len(head) < offset+2 {
		return ""
	}
	if id := int(binary.LittleEndian.Uint16(head[offset:])); id < len(names) {
		return names[id]
	}
	return ""
}
