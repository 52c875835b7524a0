package netboot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// OpenFunc finds what a client asks for by a name, as it has sent it. The error
// is an [fs.ErrNotExist] where there is nothing of that name. It must be safe
// for concurrent use.
type OpenFunc func(name string, from netip.Addr) (*Content, error)

// Content is a file that is open to be served, a text that has been made, or a
// program of parts.
type Content struct {
	Name    string // within the served tree
	Size    int64  // bytes
	ModTime time.Time

	file  *os.File // nil: a text or a program
	text  *bytes.Reader
	parts *ukiParts // nil: a file or a text
	id    fileID
}

// fileID tells a version of a file from every other one. A write that changes
// none of these does not happen: the kernel sets ctime, and nobody else can.
type fileID struct {
	dev, ino          uint64
	size              int64
	modified, changed unix.Timespec
}

// statFile returns the version of a regular file.
func statFile(name string, f *os.File) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileID{}, fmt.Errorf("stat %s: %w", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fileID{}, fmt.Errorf("%s: is no regular file: %w", name, fs.ErrPermission)
	}
	return fileID{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, modified: st.Mtim, changed: st.Ctim}, nil
}

// ReadAt is safe for concurrent use.
func (c *Content) ReadAt(b []byte, offset int64) (int, error) {
	switch {
	case c.parts != nil:
		return c.parts.layout.ReadAt(b, offset)
	case c.file == nil:
		return c.text.ReadAt(b, offset)
	}
	return c.file.ReadAt(b, offset)
}

// Close closes the file.
func (c *Content) Close() error {
	switch {
	case c.parts != nil:
		return c.parts.close()
	case c.file == nil:
		return nil
	}
	return c.file.Close()
}

// seeker is what net/http reads from: a file itself, so that the kernel does
// the copying.
func (c *Content) seeker() io.ReadSeeker {
	switch {
	case c.parts != nil:
		return io.NewSectionReader(c.parts.layout, 0, c.Size)
	case c.file == nil:
		return c.text
	}
	return c.file
}

// TextContent is a file that exists nowhere but here.
func TextContent(name string, text []byte) *Content {
	return &Content{Name: name, Size: int64(len(text)), text: bytes.NewReader(text)}
}

// FileContent takes an open file, which it closes if it is not a regular one.
func FileContent(name string, f *os.File) (*Content, error) {
	id, err := statFile(name, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Content{Name: name, Size: id.size, ModTime: time.Unix(id.modified.Unix()), file: f, id: id}, nil
}

// Shelf is all that a server has to give. It does not change once it is in use.
type Shelf struct {
	// Root is a directory that is served as it is; nil: none. Symbolic links
	// lead anywhere within it.
	Root *os.Root

	// Files are further files of this machine by their names in the tree; see
	// FileName. They win over those of Root.
	Files map[string]string

	// Generate makes a file for the client that asks; nil: there are none. ok
	// is false where it makes no such file. It wins over both.
	Generate func(name string, from netip.Addr) (text []byte, ok bool, err error)

	// Program makes a program for the client that asks, as Generate does; nil:
	// there are none.
	Program func(name string, from netip.Addr) (c *Content, ok bool, err error)
}

// FileName is the name in the tree of a file of this machine, for Shelf.Files:
// "rambox/3f2a9c4be01d/vmlinuz". It is the same at each start, and has nothing in
// it that a URL or a boot loader's configuration would have to quote.
func FileName(file string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(file)))
	plain := func(r rune) rune {
		if strings.ContainsRune("+-._", r) || r < utf8.RuneSelf && (isLetter(byte(r)) || '0' <= r && r <= '9') {
			return r
		}
		return '_'
	}
	base := strings.Map(plain, filepath.Base(file))
	return path.Join("rambox", hex.EncodeToString(sum[:6]), base[:min(len(base), 64)])
}

// Add serves a file of this machine and returns its name in the tree.
func (s *Shelf) Add(file string) string {
	if s.Files == nil {
		s.Files = map[string]string{}
	}
	name := FileName(file)
	s.Files[name] = file
	return name
}

// Open is an [OpenFunc].
func (s *Shelf) Open(raw string, from netip.Addr) (*Content, error) {
	name, err := cleanName(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if s.Generate != nil {
		text, ok, err := s.Generate(name, from)
		if err != nil {
			return nil, err
		}
		if ok {
			return TextContent(name, text), nil
		}
	}
	if s.Program != nil {
		if c, ok, err := s.Program(name, from); ok || err != nil {
			return c, err
		}
	}
	// A FIFO must not keep us waiting for somebody who writes to it.
	const flags = os.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	var f *os.File
	switch file, ok := s.Files[name]; {
	case ok:
		f, err = os.OpenFile(file, flags, 0)
	case s.Root != nil:
		f, err = s.Root.OpenFile(filepath.FromSlash(name), flags, 0)
	default:
		err = fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return FileContent(name, f)
}
