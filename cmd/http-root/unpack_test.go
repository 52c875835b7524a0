//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestUnpackRoot unpacks what tar and cpio have packed.
func TestUnpackRoot(t *testing.T) {
	tars := func(options string) []string { return append([]string{"tar", "-c"}, strings.Fields(options)...) }
	const pax = "--format=pax --xattrs --xattrs-include=* --sparse ."
	for _, tc := range []struct {
		name  string
		pack  []string
		press []string // compression; nil: none
		full  bool
	}{
		{name: "pax", pack: tars(pax), full: true},
		{name: "pax, gzip", pack: tars(pax), press: []string{"gzip"}, full: true},
		{name: "pax, zstd", pack: tars(pax), press: []string{"zstd", "-T2", "--long=27"}, full: true},
		{name: "pax, xz", pack: tars(pax), press: []string{"xz", "-0"}, full: true},
		{name: "gnu", pack: tars("--format=gnu .")},
		{name: "gnu, sparse", pack: tars("--format=gnu --sparse .")},
		{name: "gnu, absolute names", pack: tars("--format=gnu --absolute-names --transform s,^[.],/,S .")},
		{name: "cpio", pack: []string{"sh", "-c", "find . | cpio -o -H newc"}},
		{name: "cpio, depth first", pack: []string{"sh", "-c", "find . -depth | cpio -o -H newc"}},
		{name: "cpio with checksums, gzip", pack: []string{"sh", "-c", "find . | cpio -o -H crc"}, press: []string{"gzip"}},
		{name: "cpio, zstd", pack: []string{"sh", "-c", "find . | cpio -o -H newc"}, press: []string{"zstd"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			privateMounts(t)
			from, to := newTmpfs(t, ""), newTarget(t)
			makeTree(t, from)
			if err := os.Chdir(from); err != nil { // of this thread alone
				t.Fatal(err)
			}
			archive := tool(t, nil, tc.pack[0], tc.pack[1:]...)
			if tc.press != nil {
				archive = tool(t, archive, tc.press[0], append(tc.press[1:], "-c")...)
			}
			img := newTestImage(t, archive)
			kind, err := img.format()
			if err != nil {
				t.Fatal(err)
			}
			log := &journal{}
			if err := (plan{target: to}).unpackRoot(t.Context(), img, kind, logger{log}); err != nil {
				t.Fatalf("unpackRoot: %v\n%s", err, log)
			}
			if diff := cmp.Diff(listing(t, from, tc.full), listing(t, to, tc.full)); diff != "" {
				t.Errorf("-packed +unpacked:\n%s\n%s", diff, log)
			}
			var st unix.Stat_t
			if err := unix.Fstat(int(img.file.Fd()), &st); err != nil || st.Blocks*512 > bite {
				t.Errorf("%d bytes of the archive are still there, %v", st.Blocks*512, err)
			}
			if err := unix.Stat(filepath.Join(to, "sparse"), &st); err != nil || st.Blocks*512 > 64<<10 {
				t.Errorf("the sparse file takes %d bytes, %v", st.Blocks*512, err)
			}
		})
	}
}

// TestUnpackRootFails ends with an error, and nothing mounted.
func TestUnpackRootFails(t *testing.T) {
	file := newcEntry{name: "file", mode: unix.S_IFREG | 0o644, links: 1}
	big := file
	big.body = string(testImage(3 << 20))
	whole := makeNewc(big)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	gz := func(t *testing.T, b []byte) []byte { return tool(t, b, "gzip", "-c") }
	for _, tc := range []struct {
		name    string
		archive func(t *testing.T) []byte
		plan    plan
		ctx     context.Context
		want    string
	}{
		{name: "too small", archive: func(*testing.T) []byte { return whole }, plan: plan{data: "size=1m"}, want: "size=1m"},
		{name: "a bad option", archive: func(*testing.T) []byte { return whole }, plan: plan{data: "nonsense"}, want: "nonsense"},
		{name: "cut", archive: func(*testing.T) []byte { return whole[:2<<20] }, want: "unexpected EOF"},
		{name: "compressed and cut", archive: func(t *testing.T) []byte { return gz(t, whole)[:2<<20] }, want: "unexpected EOF"},
		{name: "damaged behind the archive", archive: func(t *testing.T) []byte {
			b := gz(t, whole)
			b[len(b)-8] ^= 1 // the checksum
			return b
		}, want: "checksum"},
		{name: "a file system in gzip", archive: func(t *testing.T) []byte { return gz(t, []byte("hsqs and so on")) }, want: "squashfs compressed by gzip"},
		{name: "a text in gzip", archive: func(t *testing.T) []byte { return gz(t, []byte("<html>")) }, want: `it begins with "<html>"`},
		{name: "gzip in gzip", archive: func(t *testing.T) []byte { return gz(t, gz(t, whole)) }, want: "gzip compressed by gzip"},
		{name: "stopped", archive: func(*testing.T) []byte { return whole }, ctx: stopped, want: "context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			privateMounts(t)
			tc.plan.target = newTarget(t)
			img := newTestImage(t, tc.archive(t))
			kind, err := img.format()
			if err != nil {
				t.Fatal(err)
			}
			if tc.ctx == nil {
				tc.ctx = t.Context()
			}
			err = tc.plan.unpackRoot(tc.ctx, img, kind, logger{io.Discard})
			if err == nil {
				t.Fatal("no error")
			}
			mentions(t, err.Error(), tc.want)
			if isMounted(t, tc.plan.target) {
				t.Error("something is mounted")
			}
		})
	}
}

// TestUnpackRootOptions looks at the tmpfs that comes about.
func TestUnpackRootOptions(t *testing.T) {
	for _, tc := range []struct {
		name     string
		plan     plan
		size     uint64 // in bytes; 0: more than half of the memory that is free
		readOnly bool
		log      string
	}{
		{name: "none"},
		{name: "a size", plan: plan{data: "size=8m"}, size: 8 << 20},
		{name: "rw", plan: plan{access: readWrite}},
		{name: "ro", plan: plan{access: readOnly, data: "size=8m"}, size: 8 << 20, readOnly: true},
		{name: "a type", plan: plan{types: []string{"ext4"}}, log: "rootfstype=ext4 counts for nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			privateMounts(t)
			tc.plan.target = newTarget(t)
			tc.plan.flags = unix.MS_NOATIME
			log := &journal{}
			img := newTestImage(t, makeNewc(newcEntry{name: "file", mode: unix.S_IFREG | 0o644, links: 1, body: "x"}))
			if err := tc.plan.unpackRoot(t.Context(), img, newc, logger{log}); err != nil {
				t.Fatal(err)
			}
			var st unix.Statfs_t
			if err := unix.Statfs(tc.plan.target, &st); err != nil {
				t.Fatal(err)
			}
			free, err := freeMemory()
			if err != nil {
				t.Fatal(err)
			}
			size := st.Blocks * uint64(st.Bsize)
			if tc.size != 0 && size != tc.size || size < uint64(free)/2 && tc.size == 0 {
				t.Errorf("size %d, want %d (%d are free)", size, tc.size, free)
			}
			if got := st.Flags&unix.ST_RDONLY != 0; got != tc.readOnly || st.Flags&unix.ST_NOATIME == 0 {
				t.Errorf("flags %#x, want read-only %v and noatime", st.Flags, tc.readOnly)
			}
			if info, err := os.Stat(tc.plan.target); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("mode of the root: %v, %v", info.Mode(), err)
			}
			err = os.WriteFile(filepath.Join(tc.plan.target, "new"), nil, 0o644)
			if got := errors.Is(err, unix.EROFS); got != tc.readOnly {
				t.Errorf("make a file: %v", err)
			}
			mentions(t, log.String(), tc.log, "1 entries of a cpio archive unpacked on ")
		})
	}
}

func TestTmpfsData(t *testing.T) {
	for _, tc := range []struct {
		given string
		size  int64
		want  string
	}{
		{"", 4096, "mode=0755,size=4096"},
		{"mode=0700,huge=never", 4096, "mode=0755,size=4096,mode=0700,huge=never"},
		{"size=50%", 4096, "mode=0755,size=50%"},
		{"nr_inodes=5,nr_blocks=7", 4096, "mode=0755,nr_inodes=5,nr_blocks=7"},
	} {
		if got := tmpfsData(tc.given, tc.size); got != tc.want {
			t.Errorf("tmpfsData(%q, %d) = %q, want %q", tc.given, tc.size, got, tc.want)
		}
	}
}

// TestEater reads an image in odd steps.
func TestEater(t *testing.T) {
	want := testImage(3<<20 + 5)
	img := newTestImage(t, want)
	got, err := io.ReadAll(&eater{img: img})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes read, %v, want the %d that were written", len(got), err, len(want))
	}
}
