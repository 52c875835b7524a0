package image

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// trailer is the name of the record that ends an archive.
const trailer = cpio.Trailer

// The type bits of st_mode, which a newc header carries.
const (
	typeMask   = 0o170000
	typeSocket = 0o140000
	typeLink   = 0o120000
	typeFile   = 0o100000
	typeBlock  = 0o060000
	typeDir    = 0o040000
	typeChar   = 0o020000
	typeFIFO   = 0o010000

	bitSetuid = 0o4000
	bitSetgid = 0o2000
	bitSticky = 0o1000
)

// unixMode is st_mode for a mode of Go.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, bit := range [...]struct {
		is   fs.FileMode
		unix uint32
	}{{fs.ModeSetuid, bitSetuid}, {fs.ModeSetgid, bitSetgid}, {fs.ModeSticky, bitSticky}} {
		if m&bit.is != 0 {
			mode |= bit.unix
		}
	}
	switch m.Type() {
	case fs.ModeDir:
		return mode | typeDir
	case fs.ModeSymlink:
		return mode | typeLink
	case fs.ModeDevice:
		return mode | typeBlock
	case fs.ModeDevice | fs.ModeCharDevice:
		return mode | typeChar
	case fs.ModeNamedPipe:
		return mode | typeFIFO
	case fs.ModeSocket:
		return mode | typeSocket
	}
	return mode | typeFile
}

// goMode is the reverse of unixMode. A type that Unix does not have becomes
// fs.ModeIrregular.
func goMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&bitSetuid != 0 {
		m |= fs.ModeSetuid
	}
	if mode&bitSetgid != 0 {
		m |= fs.ModeSetgid
	}
	if mode&bitSticky != 0 {
		m |= fs.ModeSticky
	}
	switch mode & typeMask {
	case typeFile:
		return m
	case typeDir:
		return m | fs.ModeDir
	case typeLink:
		return m | fs.ModeSymlink
	case typeBlock:
		return m | fs.ModeDevice
	case typeChar:
		return m | fs.ModeDevice | fs.ModeCharDevice
	case typeFIFO:
		return m | fs.ModeNamedPipe
	case typeSocket:
		return m | fs.ModeSocket
	}
	return m | fs.ModeIrregular
}

// writeArchive writes the tree as one newc archive, uncompressed.
func (t *Tree) writeArchive(w io.Writer) error {
	mtime := t.epoch.Unix()
	if mtime < 0 || mtime > 1<<32-1 {
		return fmt.Errorf("time %s: an archive holds 1970 to 2106", t.epoch)
	}
	const buffer = 256 << 10
	buffered := bufio.NewWriterSize(w, buffer)
	records := cpio.Newc.Writer(buffered)
	for i, e := range t.Entries() {
		if err := writeRecord(records, e, uint64(i+1), uint64(mtime)); err != nil {
			return fmt.Errorf("write /%s of %s: %w", e.Path, e.Source, err)
		}
	}
	if err := cpio.WriteTrailer(records); err != nil {
		return err
	}
	return buffered.Flush()
}

func writeRecord(w cpio.RecordWriter, e Entry, inode, mtime uint64) error {
	rec := cpio.Record{Info: cpio.Info{
		Ino:    inode,
		Mode:   uint64(unixMode(e.Mode)),
		UID:    uint64(e.UID),
		GID:    uint64(e.GID),
		NLink:  1, // more would make the kernel look for hard links
		MTime:  mtime,
		Rmajor: uint64(e.Major),
		Rminor: uint64(e.Minor),
		Name:   e.Path,
	}}
	switch {
	case e.Mode.IsDir():
		rec.NLink = 2
	case e.Mode.Type() == fs.ModeSymlink:
		rec.ReaderAt, rec.FileSize = strings.NewReader(e.Target), uint64(len(e.Target))
	case e.Mode.IsRegular() && e.Size > 0:
		r, err := e.open()
		if err != nil {
			return err
		}
		defer r.Close()
		rec.ReaderAt, rec.FileSize = &sequential{r: &sized{r, e.Size}}, uint64(e.Size)
	}
	return w.WriteRecord(rec)
}

// sequential lets cpio.Record, which wants an io.ReaderAt, read from front to
// back.
type sequential struct {
	r   io.Reader
	pos int64
}

func (s *sequential) ReadAt(p []byte, off int64) (int, error) {
	if off != s.pos {
		return 0, fmt.Errorf("read at %d, want %d", off, s.pos)
	}
	n, err := s.r.Read(p)
	s.pos += int64(n)
	return n, err
}

// recordSize is the number of bytes that e takes in an archive.
func recordSize(e Entry) int64 {
	const header = 110
	body := e.Size
	if e.Mode.Type() == fs.ModeSymlink {
		body = int64(len(e.Target))
	}
	return round4(int64(header+len(e.Path)+1)) + round4(body)
}

// archiveSize is the number of bytes that writeArchive writes.
func (t *Tree) archiveSize() int64 {
	size := recordSize(Entry{Path: trailer})
	for _, e := range t.entries {
		size += recordSize(*e)
	}
	return size
}

func round4(n int64) int64 { return (n + 3) &^ 3 }
