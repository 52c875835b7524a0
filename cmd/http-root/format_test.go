//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	at := func(offset int, magic string) string {
		return strings.Repeat("\x00", offset) + magic + strings.Repeat("\x00", headSize-offset-len(magic))
	}
	for _, tc := range []struct {
		name, head string
		want       format
	}{
		{"squashfs", at(0, "hsqs"), squashfs},
		{"erofs", at(1024, "\xe2\xe1\xf5\xe0"), erofs},
		{"ext", at(1080, "\x53\xef"), extFS},
		{"ext behind a boot sector", "\xeb\x58\x90" + at(1080, "\x53\xef")[3:], extFS},
		{"gzip", "\x1f\x8b\x08", gzipped},
		{"zstd", "\x28\xb5\x2f\xfd", zstded},
		{"zstd behind a skippable frame", "\x5e\x2a\x4d\x18\x00", zstded},
		{"xz", "\xfd7zXZ\x00", xzed},
		{"cpio", "070701000", newc},
		{"cpio with checksums", "070702000", newc},
		{"cpio of the old kind", "070707000", unknown},
		{"tar of POSIX", at(257, "ustar\x0000"), tarFile},
		{"tar of GNU", at(257, "ustar  \x00"), tarFile},
		{"tar with an erofs in it", at(257, "ustar\x00")[:1024] + "\xe2\xe1\xf5\xe0", tarFile},
		{"nothing", "", unknown},
		{"zeros", at(0, ""), unknown},
		{"a short one", "hsq", unknown},
		{"a web page", "<!DOCTYPE html>", unknown},
	} {
		if got := identify([]byte(tc.head)); got != tc.want {
			t.Errorf("%s: identify = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSquashfsCompression(t *testing.T) {
	for id, want := range map[string]string{"\x01\x00": "zlib", "\x06\x00": "zstd", "\x00\x00": "", "\x07\x00": "", "\x06\x01": "", "\x06": ""} {
		if got := squashfsCompression([]byte("hsqs" + strings.Repeat("x", 16) + id)); got != want {
			t.Errorf("squashfsCompression of %q = %q, want %q", id, got, want)
		}
	}
}
