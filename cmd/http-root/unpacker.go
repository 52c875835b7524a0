//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// unpacker makes files below a directory. No name and no link leads out of it:
// each parent is opened with the directory as its root, as if by chroot, and
// the file itself by its last name, which is never followed.
type unpacker struct {
	root    int // the directory, open with O_PATH
	buf     []byte
	alive   func() error         // called often; an error ends the work
	times   map[string]time.Time // of directories, for when nothing more is put into them
	entries int                  // so far

	lost         int // extended attributes that the file system does not take
	firstLost    string
	renamed      int // names with ".."
	firstRenamed string
}

func newUnpacker(target string) (*unpacker, error) {
	root, err := unix.Open(target, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", target, err)
	}
	return &unpacker{
		root:  root,
		buf:   make([]byte, 256<<10),
		alive: func() error { return nil },
		times: map[string]time.Time{},
	}, nil
}

func (u *unpacker) close() { unix.Close(u.root) }

// add makes the file that e describes. What has its name already gives way,
// unless both are directories.
func (u *unpacker) add(e entry) error {
	if err := u.alive(); err != nil {
		return err
	}
	name := u.name(e.name)
	err := u.make(name, e)
	if err != nil {
		return fmt.Errorf("%q: %w", e.name, err)
	}
	u.entries++
	return nil
}

func (u *unpacker) name(raw string) string {
	name, stripped := safeName(raw)
	if stripped {
		if u.renamed == 0 {
			u.firstRenamed = raw
		}
		u.renamed++
	}
	return name
}

func (u *unpacker) make(name string, e entry) error {
	kind := e.mode & unix.S_IFMT
	if name == "" {
		if kind != unix.S_IFDIR || e.hard != "" {
			return errors.New("the root is a directory")
		}
		return u.attributes(u.root, ".", name, e)
	}
	parent, err := u.openDir(path.Dir(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	base := path.Base(name)
	if e.hard != "" {
		if err := u.link(parent, base, e); err != nil || e.bare {
			return err
		}
		return u.attributes(parent, base, name, e)
	}
	exists, err := clearWay(parent, base, kind == unix.S_IFDIR)
	if err != nil {
		return err
	}
	switch kind {
	case unix.S_IFDIR:
		if !exists {
			err = unix.Mkdirat(parent, base, 0o700)
		}
	case unix.S_IFREG:
		err = u.write(parent, base, unix.O_CREAT|unix.O_EXCL, e.body)
	case unix.S_IFLNK:
		err = unix.Symlinkat(e.link, parent, base)
	case unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
		err = unix.Mknodat(parent, base, kind|0o600, int(unix.Mkdev(e.major, e.minor)))
	default:
		err = fmt.Errorf("mode %#o is of no kind of file", e.mode)
	}
	if err != nil {
		return err
	}
	return u.attributes(parent, base, name, e)
}

// openDir opens a directory below the root, and makes it if it is not there.
func (u *unpacker) openDir(name string) (int, error) {
	fd, err := u.open(name, 0)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	parent, err := u.openDir(path.Dir(name))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	base := path.Base(name)
	// EEXIST: a symbolic link to where nothing is yet.
	if err := unix.Mkdirat(parent, base, 0o755); err != nil {
		return -1, fmt.Errorf("make its directory %s: %w", name, err)
	}
	return unix.Openat(parent, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// open opens a directory as one whose root is that of the unpacker would:
// symbolic links are followed, "/" and ".." in them lead no further up.
func (u *unpacker) open(name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(u.root, name, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC | flags,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
		})
		// EAGAIN: something has been renamed or mounted meanwhile, anywhere.
		if err != unix.EAGAIN && err != unix.EINTR {
			return fd, err
		}
	}
}

// clearWay removes what is at base, unless it is a directory and is to be one.
func clearWay(parent int, base string, wantDir bool) (exists bool, _ error) {
	var st unix.Stat_t
	err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	flags := 0
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if wantDir {
			return true, nil
		}
		flags = unix.AT_REMOVEDIR
	}
	if err := unix.Unlinkat(parent, base, flags); err != nil {
		return false, fmt.Errorf("replace what is there: %w", err)
	}
	return false, nil
}

// link makes base another name of e.hard, and writes the body if e has one.
func (u *unpacker) link(parent int, base string, e entry) error {
	first := u.name(e.hard)
	from, err := u.openDir(path.Dir(first))
	if err != nil {
		return err
	}
	defer unix.Close(from)
	var old, now unix.Stat_t
	if err := unix.Fstatat(from, path.Base(first), &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("link to %q: %w", e.hard, err)
	}
	// The name may stand for something else by now. To open a FIFO would wait for
	// ever, a device is somebody's disk, and a link would be followed.
	if !e.bare && old.Mode&unix.S_IFMT != e.mode&unix.S_IFMT {
		return fmt.Errorf("link to %q: it is no longer the same kind of file", e.hard)
	}
	err = unix.Fstatat(parent, base, &now, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil || now.Dev != old.Dev || now.Ino != old.Ino {
		if _, err := clearWay(parent, base, false); err != nil {
			return err
		}
		if err := unix.Linkat(from, path.Base(first), parent, base, 0); err != nil {
			return fmt.Errorf("link to %q: %w", e.hard, err)
		}
	}
	if e.body == nil {
		return nil
	}
	return u.write(parent, base, unix.O_TRUNC, e.body)
}

func (u *unpacker) write(parent int, base string, flags int, body io.Reader) error {
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0o600)
	if err != nil {
		return err
	}
	out := sparseWriter{file: os.NewFile(uintptr(fd), base)}
	if body != nil {
		err = u.copy(&out, body)
	}
	if err == nil {
		err = out.finish()
	}
	if e := out.file.Close(); err == nil {
		err = e
	}
	return err
}

// copy is io.Copy for work that may be called off.
func (u *unpacker) copy(w io.Writer, r io.Reader) error {
	for {
		n, err := r.Read(u.buf)
		if _, err := w.Write(u.buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = u.alive()
		}
		if err != nil {
			return err
		}
	}
}

// attributes comes after the contents: writing takes privileges off a file, and
// so does a change of its owner.
func (u *unpacker) attributes(parent int, base, name string, e entry) error {
	kind := e.mode & unix.S_IFMT
	const maxID = 1<<32 - 2 // the next one stands for "as it is" in chown(2)
	if e.uid < 0 || e.gid < 0 || e.uid > maxID || e.gid > maxID {
		return fmt.Errorf("owner %d:%d is beyond 32 bits", e.uid, e.gid)
	}
	if err := unix.Fchownat(parent, base, int(e.uid), int(e.gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("change the owner to %d:%d: %w", e.uid, e.gid, err)
	}
	if kind != unix.S_IFLNK { // which has no mode, and would be followed
		if err := unix.Fchmodat(parent, base, e.mode&0o7777, 0); err != nil {
			return fmt.Errorf("change the mode: %w", err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.xattrs)) {
		if err := u.xattr(parent, base, key, e); err != nil {
			return err
		}
	}
	if kind == unix.S_IFDIR {
		u.times[name] = e.mtime
		return nil
	}
	return setTime(parent, base, e.mtime)
}

func (u *unpacker) xattr(parent int, base, key string, e entry) error {
	// There is no lsetxattr relative to a directory before Linux 6.13.
	at := "/proc/self/fd/" + strconv.Itoa(parent) + "/" + base
	err := unix.Lsetxattr(at, key, []byte(e.xattrs[key]), 0)
	if err == unix.EOPNOTSUPP {
		if u.lost == 0 {
			u.firstLost = key + " of " + strconv.Quote(e.name)
		}
		u.lost++
		return nil
	}
	if err != nil {
		return fmt.Errorf("set the attribute %s: %w", key, err)
	}
	return nil
}

// finish sets the times of the directories.
func (u *unpacker) finish() error {
	for name, t := range u.times {
		if name == "" {
			name = "."
		}
		fd, err := u.open(name, unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue // something else has taken its place
		}
		if err == nil {
			err = setTime(fd, ".", t)
			unix.Close(fd)
		}
		if err != nil {
			return fmt.Errorf("set the time of %q: %w", name, err)
		}
	}
	return nil
}

func setTime(parent int, base string, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil { // the call's times have 32 bits here: the nearest that they hold
		ts, err = unix.TimeToTimespec(time.Unix(min(max(t.Unix(), math.MinInt32), math.MaxInt32), 0))
	}
	if err == nil {
		err = unix.UtimesNanoAt(parent, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return fmt.Errorf("set the time: %w", err)
	}
	return nil
}
