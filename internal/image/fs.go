package image

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// FS returns the tree as a file system. Symbolic links are followed inside the
// tree: its root is their root. It implements fs.StatFS, fs.ReadDirFS and
// fs.ReadLinkFS.
func (t *Tree) FS() fs.FS {
	f := treeFS{tree: t, children: map[string][]string{}}
	for name := range t.entries {
		dir := path.Dir(name)
		f.children[dir] = append(f.children[dir], name)
	}
	for _, names := range f.children {
		slices.Sort(names)
	}
	return f
}

type treeFS struct {
	tree     *Tree
	children map[string][]string // by directory: sorted paths
}

var (
	_ fs.StatFS     = treeFS{}
	_ fs.ReadDirFS  = treeFS{}
	_ fs.ReadLinkFS = treeFS{}
)

// find returns the entry at name, and with follow what a link there leads to.
func (f treeFS) find(op, name string, follow bool) (Entry, error) {
	if !fs.ValidPath(name) {
		return Entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at, err := f.tree.resolve(name, follow)
	if err != nil {
		return Entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	if at == "." {
		return Entry{Path: ".", Mode: fs.ModeDir | 0o755, Time: f.tree.epoch}, nil
	}
	e, ok := f.tree.entries[at]
	if !ok {
		return Entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return *e, nil
}

func (f treeFS) Open(name string) (fs.File, error) {
	e, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), e}
	if e.Mode.IsDir() {
		list, err := f.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &openDir{info: info, list: list}, nil
	}
	r, err := e.open()
	if err != nil {
		return nil, err
	}
	return openFile{r, info}, nil
}

func (f treeFS) Stat(name string) (fs.FileInfo, error) {
	e, err := f.find("stat", name, true)
	return fileInfo{path.Base(name), e}, err
}

func (f treeFS) Lstat(name string) (fs.FileInfo, error) {
	e, err := f.find("lstat", name, false)
	return fileInfo{path.Base(name), e}, err
}

func (f treeFS) ReadLink(name string) (string, error) {
	e, err := f.find("readlink", name, false)
	if err == nil && e.Mode.Type() != fs.ModeSymlink {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return e.Target, err
}

func (f treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	dir, err := f.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !dir.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	var list []fs.DirEntry
	for _, child := range f.children[dir.Path] {
		e := *f.tree.entries[child]
		list = append(list, fs.FileInfoToDirEntry(fileInfo{path.Base(child), e}))
	}
	return list, nil
}

// fileInfo describes an entry.
type fileInfo struct {
	name string
	e    Entry
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Mode() fs.FileMode  { return i.e.Mode }
func (i fileInfo) ModTime() time.Time { return i.e.Time }
func (i fileInfo) IsDir() bool        { return i.e.Mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

func (i fileInfo) Size() int64 {
	if i.e.Mode.Type() == fs.ModeSymlink {
		return int64(len(i.e.Target))
	}
	return i.e.Size
}

type openFile struct {
	io.ReadCloser
	info fileInfo
}

func (f openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

type openDir struct {
	info fileInfo
	list []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.e.Path, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(d.list) {
		if n > 0 && len(d.list) == 0 {
			return nil, io.EOF
		}
		n = len(d.list)
	}
	list := d.list[:n]
	d.list = d.list[n:]
	return list, nil
}
