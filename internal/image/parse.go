package image

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"
)

// parser reads newc archives from an unpacked stream.
type parser struct {
	archive *Archive
	source  io.ReaderAt // the image, for contents
	in      *countingReader
	limit   *limits
}

// countingReader knows its position.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) skip(n int64) error {
	done, err := io.CopyN(io.Discard, c, n)
	if done < n {
		return noEOF(err)
	}
	return nil
}

// skipZeros skips the zero bytes that are at hand, which may not be all.
func (c *countingReader) skipZeros() error {
	buffered, err := c.r.Peek(c.r.Buffered())
	if err != nil {
		return err
	}
	return c.skip(int64(len(buffered) - len(bytes.TrimLeft(buffered, "\x00"))))
}

// stream reads archives with zero bytes around them to the end of the stream.
func (p *parser) stream() error {
	for {
		next, err := p.in.r.Peek(1)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case next[0] == '0':
			if err := p.archiveAt(); err != nil {
				return err
			}
		case next[0] == 0:
			if err := p.in.skipZeros(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("byte %d of the unpacked stream is 0x%02x, want newc or zeros", p.in.n, next[0])
		}
	}
}

// archiveAt reads one archive to its trailer. The kernel does without one at
// the end of a stream.
func (p *parser) archiveAt() error {
	for {
		if _, err := p.in.r.Peek(1); err == io.EOF {
			return nil
		}
		at := p.in.n
		end, err := p.record()
		if err != nil {
			return fmt.Errorf("record at %d: %w", at, err)
		}
		if end {
			return nil
		}
	}
}

// header is the header of a newc record; the fields are those of cpio(5).
type header struct {
	inode, mode, uid, gid, links, mtime, size, major, minor, rmajor, rminor, nameSize, check uint32
}

const headerSize = 6 + 13*8

func parseHeader(b []byte) (h header, err error) {
	switch magic := string(b[:6]); magic {
	case "070701", "070702":
	case "070707":
		return h, errors.New("the archive has the old portable format; the kernel takes newc (cpio -H newc)")
	default:
		return h, fmt.Errorf("magic %q, want 070701", magic)
	}
	for i, field := range [...]*uint32{
		&h.inode, &h.mode, &h.uid, &h.gid, &h.links, &h.mtime, &h.size,
		&h.major, &h.minor, &h.rmajor, &h.rminor, &h.nameSize, &h.check,
	} {
		text := string(b[6+8*i:][:8])
		n, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return h, fmt.Errorf("header field %d is %q, want 8 hexadecimal digits", i, text)
		}
		*field = uint32(n)
	}
	return h, nil
}

// record reads a record, its content and the padding after both.
func (p *parser) record() (end bool, err error) {
	start := p.in.n
	var raw [headerSize]byte
	if _, err := io.ReadFull(p.in, raw[:]); err != nil {
		return false, noEOF(err)
	}
	h, err := parseHeader(raw[:])
	if err != nil {
		return false, err
	}
	if h.nameSize == 0 || h.nameSize > maxPath {
		return false, fmt.Errorf("name of %d bytes, want 1 to %d with its NUL", h.nameSize, maxPath)
	}
	name := make([]byte, h.nameSize)
	if _, err := io.ReadFull(p.in, name); err != nil {
		return false, noEOF(err)
	}
	if name[h.nameSize-1] != 0 {
		return false, fmt.Errorf("name %q does not end in a NUL byte", name)
	}
	if err := p.pad(start); err != nil {
		return false, err
	}
	if string(name[:h.nameSize-1]) == trailer {
		return true, nil
	}
	e := h.entry(string(name[:h.nameSize-1]))
	if err := p.body(h, &e); err != nil {
		return false, fmt.Errorf("/%s: %w", e.Path, err)
	}
	if err := p.limit.count(e); err != nil {
		return false, err
	}
	p.archive.Entries = append(p.archive.Entries, e)
	return false, p.pad(start)
}

func (h header) entry(name string) Entry {
	return Entry{
		Path: clean(name), Mode: goMode(h.mode), UID: h.uid, GID: h.gid,
		Major: h.rmajor, Minor: h.rminor, Links: h.links, Time: time.Unix(int64(h.mtime), 0).UTC(),
		file: fileID{h.major, h.minor, h.inode},
	}
}

// body reads the content of a record into e; of a large file only where it is.
func (p *parser) body(h header, e *Entry) error {
	size := int64(h.size)
	if e.Mode.Type() == fs.ModeSymlink {
		if size == 0 || size >= maxPath {
			return fmt.Errorf("link target of %d bytes, want 1 to %d", size, maxPath-1)
		}
		target := make([]byte, size)
		if _, err := io.ReadFull(p.in, target); err != nil {
			return noEOF(err)
		}
		e.Target = string(target)
		return nil
	}
	if !e.Mode.IsRegular() {
		return p.in.skip(size)
	}
	e.Size = size
	if p.archive.Compression != None && size <= maxKeptFile && p.limit.kept+int(size) <= maxKeptBytes {
		data := make(bytesContent, size)
		if _, err := io.ReadFull(p.in, data); err != nil {
			return noEOF(err)
		}
		p.limit.kept += int(size)
		e.content = data
		return nil
	}
	e.content = span{p.archive, p.source, p.in.n, size}
	return p.in.skip(size)
}

// pad skips to the next multiple of 4 from the start of a record. Missing
// padding at the end of the stream is nobody's loss.
func (p *parser) pad(start int64) error {
	n := p.in.n - start
	if err := p.in.skip(round4(n) - n); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}
