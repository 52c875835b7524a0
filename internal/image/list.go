package image

import (
	"fmt"
	"io"
	"io/fs"
)

// String is the entry as cpio -tv and ls -l have it, with numbers for owners:
//
//	-rwxr-xr-x   1 0        0         1982256 Jan  1  1970 bin/busybox
func (e Entry) String() string {
	links := max(e.Links, 1)
	size := fmt.Sprintf("%8d", e.Size)
	if e.Mode&fs.ModeDevice != 0 {
		size = fmt.Sprintf("%3d, %3d", e.Major, e.Minor)
	}
	name := e.Path
	if e.Mode.Type() == fs.ModeSymlink {
		size = fmt.Sprintf("%8d", len(e.Target))
		name += " -> " + e.Target
	}
	return fmt.Sprintf("%s %3d %-8d %-8d %s %s %s", modeString(e.Mode), links, e.UID, e.GID, size,
		e.Time.UTC().Format("Jan _2  2006"), name)
}

// modeString is a mode as ls -l has it: "-rwxr-xr-x".
func modeString(m fs.FileMode) string {
	kind := byte('?')
	switch m.Type() {
	case 0:
		kind = '-'
	case fs.ModeDir:
		kind = 'd'
	case fs.ModeSymlink:
		kind = 'l'
	case fs.ModeDevice:
		kind = 'b'
	case fs.ModeDevice | fs.ModeCharDevice:
		kind = 'c'
	case fs.ModeNamedPipe:
		kind = 'p'
	case fs.ModeSocket:
		kind = 's'
	}
	out := append([]byte{kind}, "rwxrwxrwx"...)
	for i := range 9 {
		if m&(1<<(8-i)) == 0 {
			out[1+i] = '-'
		}
	}
	for _, special := range [...]struct {
		bit   fs.FileMode
		at    int
		x, no byte
	}{{fs.ModeSetuid, 3, 's', 'S'}, {fs.ModeSetgid, 6, 's', 'S'}, {fs.ModeSticky, 9, 't', 'T'}} {
		switch {
		case m&special.bit == 0:
		case out[special.at] == 'x':
			out[special.at] = special.x
		default:
			out[special.at] = special.no
		}
	}
	return string(out)
}

// List writes the image as rambox inspect prints it: each archive with its
// place, compression and sizes, then its entries.
func (im *Image) List(w io.Writer) error {
	for i, a := range im.Archives {
		_, err := fmt.Fprintf(w, "archive %d: at %d, %d bytes, %s, %d unpacked, %d entries\n",
			i+1, a.Offset, a.Size, a.Compression, a.Raw, len(a.Entries))
		if err != nil {
			return err
		}
		for _, e := range a.Entries {
			if _, err := fmt.Fprintln(w, e); err != nil {
				return err
			}
		}
	}
	return nil
}
