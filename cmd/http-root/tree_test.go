//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTmpfs mounts one until the end of the test, whose mounts must be private.
func newTmpfs(t *testing.T, data string) string {
	t.Helper()
	dir := newTarget(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, data); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	return dir
}

// newTarget makes a directory on which something may be mounted in the end.
func newTarget(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
	})
	return dir
}

// isMounted tells whether dir is a mount point.
func isMounted(t *testing.T, dir string) bool {
	t.Helper()
	var st, up unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(filepath.Dir(dir), &up); err != nil {
		t.Fatal(err)
	}
	return st.Dev != up.Dev
}

// aTime is that of the files of makeTree, which differ by seconds.
var aTime = time.Date(2026, 11, 21, 6, 0, 0, 123456789, time.UTC)

// xattrs are those that listings show.
var xattrs = []string{"security.capability", "trusted.test"}

// makeTree fills dir with files of every kind.
func makeTree(t *testing.T, dir string) {
	t.Helper()
	must := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	long := strings.Repeat("long/", 40) + strings.Repeat("n", 120)
	for _, d := range []string{"bin", "dev", "home/user", "tmp", "empty", "usr/lib", filepath.Dir(long)} {
		must(os.MkdirAll(at(d), 0o755))
	}
	file := func(name string, mode uint32, uid, gid int, body []byte) {
		t.Helper()
		must(os.WriteFile(at(name), body, 0o600), os.Chown(at(name), uid, gid), unix.Chmod(at(name), mode))
	}
	file("bin/su", 0o4755, 0, 0, []byte("su"))
	file("bin/ping", 0o755, 0, 0, testImage(70_000))
	file("empty/file", 0o000, 65534, 65534, nil)
	file("home/user/größe", 0o640, 1000, 2000, []byte("x"))
	file(long, 0o644, 0, 0, []byte("long"))
	file("big-owner", 0o600, 1_000_000, 2_000_000, []byte("y")) // fits the seven octal digits of a ustar header
	file("sparse", 0o644, 0, 0, nil)
	must(os.WriteFile(at("sparse"), []byte("begin"), 0), os.Truncate(at("sparse"), 64<<20))
	f, err := os.OpenFile(at("sparse"), os.O_WRONLY, 0)
	must(err)
	_, err = f.WriteAt([]byte("middle"), 40<<20+1)
	must(err, f.Close())

	// A capability of version 2, VFS_CAP_REVISION_2 with CAP_NET_RAW.
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	must(unix.Setxattr(at("bin/ping"), "security.capability", []byte(capability), 0))
	must(unix.Setxattr(at("home/user"), "trusted.test", []byte("a\x00b\n"), 0))

	must(os.Link(at("bin/su"), at("bin/sudo")), os.Link(at("bin/su"), at("usr/su")))
	must(os.Symlink("usr/lib", at("lib")), os.Symlink("/etc/passwd", at("usr/absolute")), os.Symlink("../nowhere", at("usr/dangling")))
	must(os.Lchown(at("lib"), 7, 8))
	must(unix.Mkfifo(at("dev/fifo"), 0o600), unix.Mknod(at("dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), unix.Mknod(at("dev/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70_000))))
	must(os.Chown(at("dev/disk"), 0, 6), unix.Chmod(at("dev/null"), 0o666), unix.Mkfifo(at("dev/fifo2"), 0o644))
	must(unix.Chmod(at("tmp"), 0o1777), unix.Chmod(at("home/user"), 0o2700), os.Chown(at("home/user"), 1000, 1000), unix.Chmod(at("empty"), 0o555), unix.Chmod(dir, 0o711))

	n := 0
	var names []string
	must(filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	slices.Reverse(names) // what is in a directory goes first
	for _, path := range names {
		ts := unix.NsecToTimespec(aTime.Add(time.Duration(n) * time.Second).UnixNano())
		must(unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
		n++
	}
}

// listing has a line for each file. What an archive does not hold is left out:
// fractions of seconds and extended attributes unless full.
func listing(t *testing.T, dir string, full bool) string {
	t.Helper()
	var out strings.Builder
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %o %d:%d", name, st.Mode, st.Uid, st.Gid)
		if full {
			fmt.Fprintf(&out, " %d.%09d", st.Mtim.Sec, st.Mtim.Nsec)
		} else {
			fmt.Fprintf(&out, " %d", st.Mtim.Sec)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " -> %s", link)
		case unix.S_IFREG:
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %d bytes %x", len(body), sha256.Sum256(bytes.TrimRight(body, "\x00")))
		case unix.S_IFCHR, unix.S_IFBLK:
			fmt.Fprintf(&out, " device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			fmt.Fprintf(&out, " is %s", first[st.Ino])
		}
		if full {
			for _, x := range xattrs {
				value := make([]byte, 100)
				if n, err := unix.Lgetxattr(path, x, value); err == nil {
					fmt.Fprintf(&out, " %s=%q", x, value[:n])
				}
			}
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
