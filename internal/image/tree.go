package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// maxPath is PATH_MAX, a NUL byte included. The kernel skips entries whose
// name or link target is longer (do_header, init/initramfs.c, v6.12).
const maxPath = 4096

// maxLinks is how many symbolic links a look-up follows (MAXSYMLINKS,
// include/linux/namei.h).
const maxLinks = 40

// Entry is one file of a tree or an archive.
type Entry struct {
	Path   string      // "bin/busybox": no slash in front, cleaned; "." is the root
	Mode   fs.FileMode // type and permissions, setuid, setgid and sticky
	UID    uint32
	GID    uint32
	Major  uint32    // of a device node
	Minor  uint32    // of a device node
	Target string    // of a symbolic link
	Size   int64     // bytes of a regular file
	Links  uint32    // hard links, in an image that was read; else 0
	Time   time.Time // of modification; in a tree the epoch of the Spec
	Source string    // who asked for it, for messages: "add ./tree", "busybox"

	content content
	origin  origin
	file    fileID
}

// fileID is the same for all hard links of a file in an archive.
type fileID struct{ major, minor, inode uint32 }

// content is what a regular file holds. It is opened late and read once from
// front to back.
type content interface {
	Open() (io.ReadCloser, error)
}

type bytesContent []byte

func (b bytesContent) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), nil
}

// readerAt opens c for reading anywhere. What is not a file on the host is
// read into memory.
func readerAt(c content) (io.ReaderAt, io.Closer, error) {
	if c == nil {
		c = bytesContent(nil)
	}
	r, err := c.Open()
	if err != nil {
		return nil, nil, err
	}
	if at, ok := r.(io.ReaderAt); ok {
		return at, r, nil
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	return bytes.NewReader(data), io.NopCloser(nil), nil
}

// origin says whose wish an entry is.
type origin uint8

const (
	implied origin = iota // a parent directory that nobody asked for by name
	ours                  // our defaults, and what the user's programs need
	named                 // the user named this very file
	subtree               // the user named a directory above it
)

// Tree is the file tree of an image. The zero value is not usable; see
// [NewTree].
type Tree struct {
	entries map[string]*Entry
	epoch   time.Time
}

// NewTree returns a tree with nothing in it. Its files will have the time
// epoch; the zero time stands for 1970-01-01.
func NewTree(epoch time.Time) *Tree {
	if epoch.IsZero() {
		epoch = time.Unix(0, 0)
	}
	return &Tree{entries: map[string]*Entry{}, epoch: epoch.UTC()}
}

// Entries returns the entries sorted by path, which puts each directory before
// what is in it.
func (t *Tree) Entries() []Entry {
	list := make([]Entry, 0, len(t.entries))
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		list = append(list, *t.entries[name])
	}
	return list
}

// Lookup returns the entry at name, following symbolic links in the tree as
// the kernel would. A leading slash makes no difference.
func (t *Tree) Lookup(name string) (Entry, bool) {
	real, err := t.resolve(name, true)
	if err != nil {
		return Entry{}, false
	}
	e, ok := t.entries[real]
	if !ok {
		return Entry{}, false
	}
	return *e, true
}

// Open opens the regular file at name, following symbolic links.
func (t *Tree) Open(name string) (io.ReadCloser, error) {
	e, ok := t.Lookup(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return e.open()
}

func (t *Tree) readFile(name string) ([]byte, error) {
	r, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (e Entry) open() (io.ReadCloser, error) {
	if !e.Mode.IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: e.Path, Err: errors.New("not a regular file")}
	}
	if e.content == nil {
		return bytesContent(nil).Open()
	}
	return e.content.Open()
}

// clean makes the path of an entry: rooted, without "." and "..", and without
// the slash in front. The root is ".".
func clean(name string) string {
	name = path.Clean("/" + name)[1:]
	if name == "" {
		return "."
	}
	return name
}

// resolve follows the symbolic links of the tree on the way to name, and with
// last also name itself. What is not in the tree stays as it is written.
func (t *Tree) resolve(name string, last bool) (string, error) {
	rest, links := clean(name), 0
	done := "."
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			done = clean(path.Dir(done))
			continue
		}
		at := path.Join(done, part)
		e, ok := t.entries[at]
		if !ok || e.Mode.Type() != fs.ModeSymlink || rest == "" && !last {
			done = at
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("resolve /%s in the image: too many symbolic links", clean(name))
		}
		if strings.HasPrefix(e.Target, "/") {
			done = "."
		}
		rest = e.Target + "/" + rest
	}
	return done, nil
}

// put adds e, following links among its parents and making those that are
// missing. Two directories merge. Otherwise the user's entries win over ours,
// and two of the user's must be the same, or replace must be set.
func (t *Tree) put(e Entry, replace bool) error {
	if err := e.check(); err != nil {
		return err
	}
	// A directory that meets a link to a directory merges into that.
	at, err := t.resolve(e.Path, e.Mode.IsDir())
	if err != nil {
		return err
	}
	if e.Path = at; at == "." {
		return nil // the kernel has made its root directory itself
	}
	e.Time = t.epoch
	old, ok := t.entries[at]
	if !ok {
		if err := t.makeParents(e); err != nil {
			return err
		}
		t.entries[at] = &e
		return nil
	}
	switch {
	case old.Mode.IsDir() && e.Mode.IsDir():
		if replace || old.origin == implied && e.origin != implied {
			t.entries[at] = &e
		}
		return nil
	case e.origin <= ours:
		return nil
	case !old.Mode.IsDir() && !e.Mode.IsDir() && (replace || old.origin <= ours):
		t.entries[at] = &e
		return nil
	}
	same, err := equal(*old, e)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("/%s: %s and %s both have it, and they differ", at, old.Source, e.Source)
	}
	return nil
}

// makeParents adds the missing directories above e.
func (t *Tree) makeParents(e Entry) error {
	dir := path.Dir(e.Path)
	if dir == "." {
		return nil
	}
	if parent, ok := t.entries[dir]; ok {
		if !parent.Mode.IsDir() {
			return fmt.Errorf("/%s of %s: /%s of %s is not a directory", e.Path, e.Source, dir, parent.Source)
		}
		return nil
	}
	parent := Entry{Path: dir, Mode: fs.ModeDir | 0o755, Time: t.epoch, Source: e.Source, origin: implied}
	t.entries[dir] = &parent
	return t.makeParents(parent)
}

// check refuses what a newc record cannot hold or the kernel would skip.
func (e Entry) check() error {
	const max32 = 1<<32 - 1
	switch {
	case len(e.Path) >= maxPath || len(e.Target) >= maxPath:
		return fmt.Errorf("%.60s… of %s: the path or link target has %d bytes or more, which the kernel skips", e.Path, e.Source, maxPath)
	case strings.ContainsRune(e.Path, 0):
		return fmt.Errorf("%q of %s: NUL byte in the path", e.Path, e.Source)
	case clean(e.Path) == trailer:
		return fmt.Errorf("%s of %s: the name marks the end of an archive", e.Path, e.Source)
	case e.Size > max32:
		return fmt.Errorf("%s of %s: %d bytes; an archive member holds at most %d", e.Path, e.Source, e.Size, max32)
	case e.Mode.Type() == fs.ModeSymlink && e.Target == "":
		return fmt.Errorf("%s of %s: symbolic link without a target", e.Path, e.Source)
	}
	return nil
}

// equal tells whether two entries would be the same record.
func equal(a, b Entry) (bool, error) {
	if a.Mode != b.Mode || a.UID != b.UID || a.GID != b.GID || a.Major != b.Major || a.Minor != b.Minor ||
		a.Target != b.Target || a.Size != b.Size {
		return false, nil
	}
	if !a.Mode.IsRegular() {
		return true, nil
	}
	ra, err := a.open()
	if err != nil {
		return false, err
	}
	defer ra.Close()
	rb, err := b.open()
	if err != nil {
		return false, err
	}
	defer rb.Close()
	return sameBytes(ra, rb)
}

func sameBytes(a, b io.Reader) (bool, error) {
	const chunk = 64 << 10
	pa, pb := make([]byte, chunk), make([]byte, chunk)
	for {
		na, errA := io.ReadFull(a, pa)
		nb, errB := io.ReadFull(b, pb)
		if !bytes.Equal(pa[:na], pb[:nb]) {
			return false, nil
		}
		if errA == nil && errB == nil {
			continue
		}
		for _, err := range [...]error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		return true, nil
	}
}
