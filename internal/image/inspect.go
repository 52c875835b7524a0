package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"
)

// Archive is one cpio stream of an image: a newc archive, or a compressed
// stream that holds one or more.
type Archive struct {
	Offset      int64 // where it begins in the image, bytes
	Size        int64 // bytes in the image
	Raw         int64 // bytes unpacked
	Compression Compression
	Entries     []Entry // in their order; the same path may come twice
}

// Image is an initramfs that was read.
type Image struct {
	Archives []Archive
	Size     int64 // bytes, padding included
}

// Limits for images from anywhere. An image at the limits takes some hundred
// megabytes of memory to list.
const (
	maxEntries   = 1 << 20
	maxNameBytes = 64 << 20 // of all names and link targets

	// Small files of compressed archives stay in memory. Others are unpacked
	// anew, from the archive's beginning, each time they are opened.
	maxKeptFile  = 64 << 10
	maxKeptBytes = 16 << 20 // of all of them
)

// Read lists an image of size bytes as the kernel would unpack it
// (unpack_to_rootfs, init/initramfs.c, v6.12): archives one after another,
// each compressed or not, with zero bytes around them. After an error the
// Image holds what comes before the fault.
//
// LZO is recognised and cannot be read.
func Read(r io.ReaderAt, size int64) (*Image, error) {
	im := &Image{Size: size}
	var limit limits
	for pos := int64(0); ; {
		start, err := skipZeros(r, pos, size)
		if err != nil {
			return im, fmt.Errorf("read image at %d: %w", pos, err)
		}
		if start == size {
			return im, nil
		}
		a := Archive{Offset: start, Compression: None}
		err = a.read(r, size, &limit)
		im.Archives = append(im.Archives, a)
		if err != nil {
			return im, fmt.Errorf("archive at %d: %w", start, err)
		}
		pos = start + a.Size
	}
}

// limits counts what has been read.
type limits struct{ entries, nameBytes, kept int }

func (l *limits) count(e Entry) error {
	l.entries++
	l.nameBytes += len(e.Path) + len(e.Target)
	if l.entries > maxEntries || l.nameBytes > maxNameBytes {
		return fmt.Errorf("more than %d entries, or %d bytes of names", maxEntries, maxNameBytes)
	}
	return nil
}

// read reads the archive at a.Offset.
func (a *Archive) read(r io.ReaderAt, size int64, limit *limits) error {
	head := make([]byte, 6)
	n, err := r.ReadAt(head, a.Offset)
	if err != nil && err != io.EOF {
		return err
	}
	stream := io.Reader(io.NewSectionReader(r, a.Offset, size-a.Offset))
	var packed *unpacker
	if head = head[:n]; head[0] != '0' || a.Offset%4 != 0 {
		comp, ok := detect(head)
		if !ok && head[0] == '0' {
			return errors.New("the kernel looks for newc only at multiples of 4")
		}
		if !ok {
			return fmt.Errorf("neither newc nor a compression of the kernel: it begins with % x", head)
		}
		a.Compression = comp
		if packed, err = newUnpacker(r, a.Offset, size, comp); err != nil {
			return err
		}
		defer packed.Close()
		stream = packed
	}
	p := parser{archive: a, source: r, in: &countingReader{r: bufio.NewReaderSize(stream, 64<<10)}, limit: limit}
	if packed == nil {
		err = p.archiveAt()
		a.Size = p.in.n
	} else {
		err = p.stream()
		a.Size = packed.consumed()
	}
	a.Raw = p.in.n
	a.linkContents()
	return err
}

// open returns a reader for the content that begins at offset of the unpacked
// archive.
func (a *Archive) open(r io.ReaderAt, offset, size int64) (io.ReadCloser, error) {
	if a.Compression == None {
		return io.NopCloser(io.NewSectionReader(r, a.Offset+offset, size)), nil
	}
	packed, err := newUnpacker(r, a.Offset, a.Offset+a.Size, a.Compression)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, packed, offset); err != nil {
		packed.Close()
		return nil, fmt.Errorf("unpack: %w", noEOF(err))
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(packed, size), packed}, nil
}

// span is the content of a file in an archive.
type span struct {
	archive *Archive
	source  io.ReaderAt
	offset  int64 // in the unpacked archive
	size    int64
}

func (s span) Open() (io.ReadCloser, error) { return s.archive.open(s.source, s.offset, s.size) }

// linkContents gives all hard links of a file its content, which only one of
// them carries.
func (a *Archive) linkContents() {
	holders := map[fileID]Entry{}
	for _, e := range a.Entries {
		if e.Links > 1 && e.Size > 0 {
			holders[e.file] = e
		}
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		if h, ok := holders[e.file]; ok && e.Links > 1 && e.Mode.IsRegular() && e.Size == 0 {
			e.Size, e.content = h.Size, h.content
		}
	}
}

// Tree returns the image as the kernel leaves it. Of entries with one path the
// last counts, and an entry without a directory above it is lost (do_name and
// clean_path, init/initramfs.c, v6.12).
func (im *Image) Tree() *Tree {
	t := NewTree(time.Time{})
	children := map[string]int{}
	put := func(e Entry) {
		if t.entries[e.Path] == nil {
			children[path.Dir(e.Path)]++
		}
		t.entries[e.Path] = &e
	}
	for _, a := range im.Archives {
		for _, e := range a.Entries {
			at, err := t.resolve(e.Path, e.Mode.IsDir())
			if err != nil || at == "." {
				continue
			}
			dir := path.Dir(at)
			if parent := t.entries[dir]; dir != "." && (parent == nil || !parent.Mode.IsDir()) {
				// Every kernel has an image of its own with /dev and /root
				// (usr/default_cpio_list).
				if parent != nil || dir != "dev" && dir != "root" {
					continue
				}
				put(Entry{Path: dir, Mode: fs.ModeDir | 0o755, Time: t.epoch})
			}
			if old := t.entries[at]; old != nil && old.Mode.IsDir() && !e.Mode.IsDir() && children[at] > 0 {
				continue
			}
			e.Path = at
			put(e)
		}
	}
	return t
}

// Files returns the files of the image, as [Tree.FS] has them.
func (im *Image) Files() fs.FS { return im.Tree().FS() }

// Open opens the regular file at name, following symbolic links in the image.
func (im *Image) Open(name string) (io.ReadCloser, error) { return im.Tree().Open(name) }

// skipZeros returns the first position from pos on that is not a zero byte, or
// size.
func skipZeros(r io.ReaderAt, pos, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for pos < size {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-pos)], pos)
		for i, c := range buf[:n] {
			if c != 0 {
				return pos + int64(i), nil
			}
		}
		pos += int64(n)
		if pos < size && err != nil {
			return 0, noEOF(err)
		}
	}
	return size, nil
}

// noEOF turns the end of the input, where more must come, into an error that
// says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
