package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Add is something that the user wants in the image: a host file or directory,
// or an entry made from nothing.
type Add struct {
	Host    string // a host file or directory; "" when Entry says it all
	Entry   Entry  // with Host only Path counts: where it goes
	Content []byte // of a regular file without Host
	Replace bool   // take the place of what an earlier Add has put there
	Owner   bool   // keep the host's owner and group instead of 0
}

// ParseAdd reads "SRC[:DST]", the value of --add. The last colon before a
// slash divides it. DST is absolute; if it ends in a slash, a file SRC goes
// into that directory. Without DST an absolute SRC keeps its path and a
// relative one goes below the root: "./etc/motd" becomes /etc/motd. What is
// below a directory SRC goes below DST.
func ParseAdd(arg string) (Add, error) {
	src, dst := arg, ""
	if i := strings.LastIndex(arg, ":/"); i >= 0 {
		src, dst = arg[:i], arg[i+1:]
	}
	if src == "" {
		return Add{}, fmt.Errorf("add %q: want SRC or SRC:DST, such as ./app or ./tree:/srv", arg)
	}
	if dst == "" {
		dst = filepath.ToSlash(filepath.Clean(src))
		if dst == ".." || strings.HasPrefix(dst, "../") {
			return Add{}, fmt.Errorf("add %q: say where it goes, such as %s:/srv", arg, arg)
		}
	}
	add := Add{Host: src, Entry: Entry{Path: clean(dst)}}
	if strings.HasSuffix(dst, "/") {
		add.Entry.Path += "/"
	}
	return add, nil
}

// AddFile is a regular file with these bytes.
func AddFile(name string, perm fs.FileMode, data []byte) Add {
	return Add{Entry: Entry{Path: name, Mode: perm}, Content: data}
}

// AddDir is a directory.
func AddDir(name string, perm fs.FileMode) Add {
	return Add{Entry: Entry{Path: name, Mode: fs.ModeDir | perm}}
}

// AddLink is a symbolic link.
func AddLink(name, target string) Add {
	return Add{Entry: Entry{Path: name, Mode: fs.ModeSymlink | 0o777, Target: target}}
}

// AddNode is a device node; mode holds fs.ModeDevice, and fs.ModeCharDevice
// for a character device.
func AddNode(name string, mode fs.FileMode, major, minor uint32) Add {
	return Add{Entry: Entry{Path: name, Mode: mode, Major: major, Minor: minor}}
}

// String is what messages call the source: "add ./tree".
func (a Add) String() string {
	if a.Host != "" {
		return "add " + a.Host
	}
	return "add /" + clean(a.Entry.Path)
}

// Add puts a into the tree. Links, modes and device numbers are kept; hard
// links become copies. Two sources with the same path and different content
// are an error that names both, unless Replace is set.
func (t *Tree) Add(a Add) error {
	if a.Host == "" {
		e := a.Entry
		e.Source, e.origin = a.String(), named
		if e.Mode.IsRegular() {
			e.Size, e.content = int64(len(a.Content)), bytesContent(a.Content)
		}
		e.Path = clean(e.Path)
		return t.put(e, a.Replace)
	}
	info, err := os.Stat(a.Host)
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	if info.IsDir() {
		err = t.addDir(a)
	} else {
		err = t.addFile(a, info)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	return nil
}

// addFile adds a host file. If it keeps its path, the links on the way to it
// come along.
func (t *Tree) addFile(a Add, info fs.FileInfo) error {
	e, err := hostEntry(a.Host, info, a.Owner)
	if err != nil {
		return err
	}
	if strings.HasSuffix(a.Entry.Path, "/") {
		a.Entry.Path += filepath.Base(a.Host)
	}
	e.Path, e.Source, e.origin = clean(a.Entry.Path), a.String(), named
	if filepath.IsAbs(a.Host) && clean(filepath.ToSlash(a.Host)) == e.Path {
		return t.putAtHostPath(e, a.Replace)
	}
	return t.put(e, a.Replace)
}

// addDir adds what is below a host directory.
func (t *Tree) addDir(a Add) error {
	dir, err := filepath.EvalSymlinks(a.Host) // WalkDir does not enter a link
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e, err := hostEntry(name, info, a.Owner)
		if err != nil {
			return err
		}
		e.Path, e.Source, e.origin = clean(path.Join(a.Entry.Path, filepath.ToSlash(rel))), a.String(), subtree
		return t.put(e, a.Replace)
	})
}

// hostEntry describes the host file name. info is that of the file or, for a
// link to be kept, of the link.
func hostEntry(name string, info fs.FileInfo, owner bool) (Entry, error) {
	e := Entry{Mode: info.Mode() & (fs.ModeType | fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}
	uid, gid, major, minor := hostNumbers(info)
	if owner {
		e.UID, e.GID = uid, gid
	}
	switch {
	case e.Mode.IsRegular():
		e.Size, e.content = info.Size(), hostFile(name)
	case e.Mode.Type() == fs.ModeSymlink:
		target, err := os.Readlink(name)
		if err != nil {
			return Entry{}, err
		}
		e.Mode, e.Target = fs.ModeSymlink|0o777, filepath.ToSlash(target)
	case e.Mode&fs.ModeDevice != 0:
		e.Major, e.Minor = major, minor
	case e.Mode&fs.ModeIrregular != 0:
		return Entry{}, fmt.Errorf("%s: no file of Unix", name)
	}
	return e, nil
}

// putAtHostPath puts e, a host file at the same path, and with it the links
// that lead there on the host: the loader looks for
// /lib64/ld-linux-x86-64.so.2, and where /lib64 is a link to usr/lib64 the
// image gets that link and /usr/lib64/ld-linux-x86-64.so.2. What the tree has
// on the way already counts more than what the host has.
func (t *Tree) putAtHostPath(e Entry, replace bool) error {
	for range maxLinks {
		at, err := t.resolve(e.Path, true)
		if err != nil {
			return err
		}
		if e.Path = at; t.entries[at] != nil {
			break
		}
		link, target, ok := firstHostLink(t, at)
		if !ok {
			break
		}
		err = t.put(Entry{Path: link, Mode: fs.ModeSymlink | 0o777, Target: target, Source: e.Source, origin: ours}, false)
		if err != nil {
			return err
		}
	}
	return t.put(e, replace)
}

// firstHostLink returns the first component of name that is a link on the host
// and that the tree lacks.
func firstHostLink(t *Tree, name string) (link, target string, ok bool) {
	for i := 1; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' || t.entries[name[:i]] != nil {
			continue
		}
		target, err := os.Readlink("/" + name[:i])
		if err == nil {
			return name[:i], target, true
		}
	}
	return "", "", false
}

// hostFile is a file of the host, opened when it is written.
type hostFile string

func (f hostFile) Open() (io.ReadCloser, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	return file, nil
}

// sized checks that a content has the size that its record promises.
type sized struct {
	r    io.Reader
	left int64
}

var errSize = errors.New("its size changed while the image was being made")

func (s *sized) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if s.left < 0 || err == io.EOF && s.left > 0 {
		return n, errSize
	}
	return n, err
}
