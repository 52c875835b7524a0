//go:build linux

package main

import (
	"io"
	"strings"
	"time"
)

// entry is one file of an archive.
type entry struct {
	name   string // as the archive has it: "./usr/bin/", "/etc/passwd"
	mode   uint32 // S_IFREG|0755
	uid    int64
	gid    int64
	mtime  time.Time
	major  uint32 // of a device
	minor  uint32
	link   string            // what a symbolic link has in it
	xattrs map[string]string // "security.capability" → bytes
	body   io.Reader         // of a regular file; nil: none

	// hard is the name of the entry of which this is another name. bare says
	// that the archive has said all about it there.
	hard string
	bare bool
}

// safeName makes an archive's name relative to the root, as GNU tar does: all
// up to the last ".." goes, and so does a "/" at the beginning (safer_name_suffix,
// lib/paxnames.c of paxutils). stripped says that something else than slashes and
// dots has gone; "" is the root itself.
func safeName(name string) (safe string, stripped bool) {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			parts, stripped = nil, true
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), stripped
}
