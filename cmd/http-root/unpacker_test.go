//go:build linux

package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestSafeName(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		stripped bool
	}{
		{"a", "a", false},
		{"./a/b/", "a/b", false},
		{"/a//b", "a/b", false},
		{".", "", false},
		{"/", "", false},
		{"", "", false},
		{"../a", "a", true},
		{"/../../a", "a", true},
		{"a/../b", "b", true},
		{"a/..", "", true},
		{"..a/...", "..a/...", false},
	} {
		if got, stripped := safeName(tc.in); got != tc.want || stripped != tc.stripped {
			t.Errorf("safeName(%q) = %q, %v, want %q, %v", tc.in, got, stripped, tc.want, tc.stripped)
		}
	}
}

// shorthand of entries, for tests.
func regular(name, body string) entry {
	return entry{name: name, mode: unix.S_IFREG | 0o644, body: strings.NewReader(body)}
}
func directory(name string) entry { return entry{name: name, mode: unix.S_IFDIR | 0o755} }
func symlink(name, to string) entry {
	return entry{name: name, mode: unix.S_IFLNK | 0o777, link: to}
}
func hardLink(name, to string) entry { return entry{name: name, hard: to, bare: true} }
func secondName(name, to, body string) entry {
	e := regular(name, body)
	e.hard = to
	return e
}
func fifo(name string) entry { return entry{name: name, mode: unix.S_IFIFO | 0o644} }

// cage is a directory with a target to unpack into, and something beside it
// that must stay as it is.
type cage struct {
	t            testing.TB
	base, target string
	before       string
}

// newCage makes one below base, which must not change between its uses.
func newCage(t testing.TB, base string) *cage {
	t.Helper()
	outside := filepath.Join(base, "outside")
	target := filepath.Join(base, "target")
	for _, dir := range []string{outside, target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(outside, "secret")
	if _, err := os.Stat(secret); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &cage{t: t, base: base, target: target}
	c.before = c.outside()
	return c
}

func (c *cage) outside() string {
	c.t.Helper()
	var out strings.Builder
	for _, name := range []string{"", "secret"} {
		var st unix.Stat_t
		path := filepath.Join(c.base, "outside", name)
		if err := unix.Lstat(path, &st); err != nil {
			c.t.Fatal(err)
		}
		out.WriteString(strconv.FormatUint(uint64(st.Mode), 8) + " " + strconv.Itoa(int(st.Uid)) + " " +
			strconv.FormatInt(st.Mtim.Nano(), 10) + " " + strconv.FormatInt(st.Size, 10) + " " + strconv.Itoa(int(st.Nlink)) + "\n")
	}
	return out.String()
}

// check fails the test if anything has changed beside the target.
func (c *cage) check() {
	c.t.Helper()
	if diff := cmp.Diff(c.before, c.outside()); diff != "" {
		c.t.Errorf("outside has changed: -before +after:\n%s", diff)
	}
	beside, err := os.ReadDir(c.base)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range beside {
		if name := e.Name(); name != "outside" && name != "target" {
			c.t.Errorf("%s has been made beside the target", name)
		}
	}
}

// unpack adds the entries to the target.
func (c *cage) unpack(entries []entry) error {
	u, err := newUnpacker(c.target)
	if err != nil {
		c.t.Fatal(err)
	}
	defer u.close()
	for _, e := range entries {
		if err := u.add(e); err != nil {
			return err
		}
	}
	return u.finish()
}

func TestUnpacker(t *testing.T) {
	needRoot(t)
	base := t.TempDir()
	outside := filepath.Join(base, "outside")
	for _, tc := range []struct {
		name    string
		entries []entry
		want    []string // names, with what a link has and a file holds
		err     string
	}{
		{name: "names that lead up", entries: []entry{regular("../a", "1"), regular("/../../b", "2"), regular("x/../../c", "3"), directory("../outside")},
			want: []string{"a=1", "b=2", "c=3", "outside/"}},
		{name: "parents that nobody has mentioned", entries: []entry{regular("a/b/c", "1")}, want: []string{"a/", "a/b/", "a/b/c=1"}},
		{name: "through a link out", entries: []entry{symlink("l", outside), regular("l/secret", "1")},
			want: []string{"l->" + outside}, err: "directory"},
		{name: "through a link up", entries: []entry{directory("outside"), symlink("l", "../../../outside"), regular("l/a", "1")},
			want: []string{"l->../../../outside", "outside/", "outside/a=1"}},
		{name: "through an absolute link inside", entries: []entry{directory("usr/lib"), symlink("lib", "/usr/lib"), regular("lib/a", "1")},
			want: []string{"lib->/usr/lib", "usr/", "usr/lib/", "usr/lib/a=1"}},
		{name: "through a link to nowhere yet", entries: []entry{symlink("lib", "usr/lib"), regular("lib/a", "1")}, want: []string{"lib->usr/lib"}, err: "make its directory lib"},
		{name: "over a link out", entries: []entry{symlink("l", outside+"/secret"), regular("l", "1")}, want: []string{"l=1"}},
		{name: "a directory over a link out", entries: []entry{symlink("l", outside), directory("l"), regular("l/a", "1")}, want: []string{"l/", "l/a=1"}},
		{name: "a link over an empty directory", entries: []entry{directory("d"), symlink("d", outside)}, want: []string{"d->" + outside}},
		{name: "a link over a full directory", entries: []entry{regular("d/a", "1"), symlink("d", outside)}, want: []string{"d/", "d/a=1"}, err: "directory not empty"},
		{name: "a hard link", entries: []entry{regular("a", "1"), hardLink("b", "/a")}, want: []string{"a=1", "b=1"}},
		{name: "a hard link out", entries: []entry{hardLink("b", "../outside/secret")}, want: []string{"outside/"}, err: "no such file"},
		{name: "a hard link through a link out", entries: []entry{symlink("l", outside), hardLink("b", "l/secret")}, want: []string{"l->" + outside}, err: "directory"},
		{name: "a hard link to a link out", entries: []entry{symlink("l", outside+"/secret"), hardLink("b", "l")}, want: []string{"b->" + outside + "/secret", "l->" + outside + "/secret"}},
		{name: "a hard link to itself", entries: []entry{regular("a", "1"), hardLink("./a", "a")}, want: []string{"a=1"}},
		{name: "a hard link to itself by another way", entries: []entry{regular("d/a", "1"), symlink("l", "d"), hardLink("l/a", "d/a")}, want: []string{"d/", "d/a=1", "l->d"}},
		{name: "a hard link to a directory", entries: []entry{directory("d"), hardLink("b", "d")}, want: []string{"d/"}, err: "not permitted"},
		{name: "a second name with the contents", entries: []entry{regular("a", ""), secondName("b", "a", "1")}, want: []string{"a=1", "b=1"}},
		{name: "a second name, the first of which is a link now", entries: []entry{regular("a", ""), symlink("a", outside+"/secret"), secondName("b", "a", "1")},
			want: []string{"a->" + outside + "/secret"}, err: "no longer the same kind"},
		{name: "a second name, the first of which is a FIFO now", entries: []entry{regular("a", ""), fifo("a"), secondName("b", "a", "1")}, want: []string{"a"}, err: "no longer the same kind"},
		{name: "the same name twice", entries: []entry{regular("a", "first"), regular("a", "2")}, want: []string{"a=2"}},
		{name: "a file over its other name", entries: []entry{regular("a", "1"), hardLink("b", "a"), regular("a", "2")}, want: []string{"a=2", "b=1"}},
		{name: "the root is no file", entries: []entry{regular("/", "1")}, err: "the root is a directory"},
		{name: "the root is no link", entries: []entry{symlink("x/..", outside)}, err: "the root is a directory"},
		{name: "the root is no other name", entries: []entry{hardLink(".", "a")}, err: "the root is a directory"},
		{name: "nothing to link to", entries: []entry{symlink("l", "")}, err: "no such file"},
		{name: "a name that is too long", entries: []entry{regular(strings.Repeat("n", 256), "")}, err: "too long"},
		{name: "an owner that does not exist", entries: []entry{{name: "d", mode: unix.S_IFDIR, uid: 1<<32 - 1}}, want: []string{"d/"}, err: "beyond 32 bits"},
		{name: "no kind of file", entries: []entry{{name: "d", mode: 0o644}}, err: "no kind of file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCage(t, base)
			defer os.RemoveAll(c.target)
			err := c.unpack(tc.entries)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%v, want an error with %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, names(t, c.target)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			c.check()
		})
	}
}

// names lists what is below dir in short.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil || path == dir:
			return err
		case e.IsDir():
			name += "/"
		case e.Type() == os.ModeSymlink:
			link, _ := os.Readlink(path)
			name += "->" + link
		case e.Type().IsRegular():
			body, _ := os.ReadFile(path)
			name += "=" + string(body)
		}
		list = append(list, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestUnpackerTimes puts things into directories after their entries.
func TestUnpackerTimes(t *testing.T) {
	needRoot(t)
	c := newCage(t, t.TempDir())
	d, root, gone, e := directory("d"), directory("."), directory("gone"), directory("d/e")
	d.mtime, root.mtime, gone.mtime, e.mtime = aTime, aTime.Add(time.Hour), aTime, aTime.Add(time.Minute)
	if err := c.unpack([]entry{root, d, regular("d/a", "1"), e, gone, symlink("gone", "d/e")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]time.Time{"": root.mtime, "d": d.mtime, "d/e": e.mtime} {
		if info, err := os.Stat(filepath.Join(c.target, name)); err != nil || info.ModTime().Unix() != want.Unix() {
			t.Errorf("%q has the time %v, %v, want %v", name, info.ModTime(), err, want)
		}
	}
}

// TestUnpackerAttributes has a file system that takes no attributes of this kind.
func TestUnpackerAttributes(t *testing.T) {
	privateMounts(t)
	dir := newTarget(t)
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	u, err := newUnpacker(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	for _, name := range []string{"a", "b"} {
		e := regular(name, "1")
		e.xattrs = map[string]string{"user.x": "1", "user.y": "2"}
		if err := u.add(e); err != nil {
			t.Fatal(err)
		}
	}
	if u.lost != 4 || u.firstLost != `user.x of "a"` {
		t.Errorf("lost %d, the first is %s", u.lost, u.firstLost)
	}
}

// FuzzUnpacker makes entries of bytes, with names that are out for mischief.
func FuzzUnpacker(f *testing.F) {
	needRoot(f)
	base := f.TempDir() // of each process
	words := []string{"a", "b", "c", "..", ".", "/", "/a", "../a", "a/b", "b/c", "../outside", "outside", "secret", "outside/secret",
		filepath.Join(base, "outside"), filepath.Join(base, "outside/secret"), "a/../../outside/secret", "/proc/self/root", "../../.."}
	const size = 4 // bytes of an entry
	f.Add([]byte("\x02\x00\x0e\x00\x00\x00\x0c\x01"))
	f.Add([]byte("\x00\x00\x00\x01\x02\x00\x0f\x00\x04\x01\x00\x05"))
	f.Add([]byte("\x01\x00\x00\x00\x02\x01\x0a\x00\x00\x01\x01\x01\x05\x02\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCage(t, base)
		defer os.RemoveAll(c.target)
		u, err := newUnpacker(c.target)
		if err != nil {
			t.Fatal(err)
		}
		defer u.close()
		for ; len(data) >= size && u.entries < 100; data = data[size:] {
			name, link := words[int(data[1])%len(words)], words[int(data[2])%len(words)]
			if more := data[3] % 32; more > 16 {
				name += "/" + words[int(more)%len(words)]
			}
			e := [...]entry{regular(name, "x"), directory(name), symlink(name, link), hardLink(name, link), secondName(name, link, "y"), fifo(name)}[data[0]%6]
			e.uid, e.mtime = int64(data[3]), time.Unix(int64(data[3]), 0)
			if data[3]%2 == 1 {
				e.xattrs = map[string]string{"security.x": "y"}
			}
			u.add(e) // the next ones must not do harm either
			u.entries++
		}
		u.finish()
		c.check()
	})
}

// FuzzUnpack unpacks an archive as it comes.
func FuzzUnpack(f *testing.F) {
	needRoot(f)
	base := f.TempDir()
	const outside = "../outside"
	f.Add(makeNewc(newcEntry{name: "a", inode: 5, mode: unix.S_IFREG, links: 2, body: "x"}, newcEntry{name: "b", inode: 5, mode: unix.S_IFREG, links: 2}))
	f.Add(makeNewc(newcEntry{name: "a", mode: unix.S_IFLNK, body: outside}, newcEntry{name: "a/secret", mode: unix.S_IFREG, body: "x"}))
	f.Add(makeTar(f, &tar.Header{Typeflag: tar.TypeReg, Name: "../outside/secret"}, &tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "../outside/secret"}))
	f.Add(makeTar(f, &tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: outside}, &tar.Header{Typeflag: tar.TypeReg, Name: "a/secret"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		c := newCage(t, base)
		defer os.RemoveAll(c.target)
		u, err := newUnpacker(c.target)
		if err != nil {
			t.Fatal(err)
		}
		defer u.close()
		// A sparse file may be longer than anyone can read.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		u.alive = ctx.Err
		if identify(archive) == newc {
			err = eachNewc(bufio.NewReader(bytes.NewReader(archive)), u.add)
		} else {
			err = eachTar(bytes.NewReader(archive), u.add)
		}
		if err == nil {
			u.finish()
		}
		c.check()
	})
}
