//go:build linux

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// eachTar calls add for each entry of a tar archive. The body of an entry can be
// read until add returns.
func eachTar(r io.Reader, add func(entry) error) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		// Names are made safe later, whatever GODEBUG says.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("tar archive: %w", err)
		}
		e, ok, err := tarEntry(h, archive)
		if err == nil && ok {
			err = add(e)
		}
		if err != nil {
			return err
		}
	}
}

// tarEntry translates a header; ok is false for one that is about the archive.
func tarEntry(h *tar.Header, body io.Reader) (e entry, ok bool, _ error) {
	e = entry{
		name:  h.Name,
		mode:  uint32(h.Mode) & 0o7777,
		uid:   int64(h.Uid),
		gid:   int64(h.Gid),
		mtime: h.ModTime,
		major: uint32(h.Devmajor),
		minor: uint32(h.Devminor),
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.mode |= unix.S_IFREG
		e.body = body
	case tar.TypeDir:
		e.mode |= unix.S_IFDIR
	case tar.TypeSymlink:
		e.mode |= unix.S_IFLNK
		e.link = h.Linkname
	case tar.TypeLink:
		e.hard, e.bare = h.Linkname, true
	case tar.TypeChar:
		e.mode |= unix.S_IFCHR
	case tar.TypeBlock:
		e.mode |= unix.S_IFBLK
	case tar.TypeFifo:
		e.mode |= unix.S_IFIFO
	case tar.TypeXGlobalHeader, 'V': // git archive's comment, GNU's volume label
		return entry{}, false, nil
	default:
		return entry{}, false, fmt.Errorf("tar archive: %q is of type %q, which no file of Linux is", h.Name, h.Typeflag)
	}
	const prefix = "SCHILY.xattr." // of star, GNU tar and bsdtar
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			if e.xattrs == nil {
				e.xattrs = map[string]string{}
			}
			e.xattrs[name] = value
		}
	}
	return e, true, nil
}
