package bootmedia

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// isoEntry is a file or a directory of an ISO 9660 file system (ECMA-119, level
// 1: names of 8 and 3 capital letters). Its name in a path is the one that a
// person would type; Linux and ISOLINUX show and take it in small letters.
type isoEntry struct {
	path   string // "boot/vmlinuz"; "" is the root
	dir    bool
	sector uint32
	size   int64 // bytes
}

// isoTree is what the file system holds, in the order of its path table.
type isoTree struct {
	entries []isoEntry // directories first, as deep as they are, then the files
	dirs    int
}

// newISOTree makes the tree of the named files, with the directories above
// them.
func newISOTree(files []string) (*isoTree, error) {
	t := &isoTree{}
	dirs := []string{""}
	for _, f := range files {
		for d := f; d != "."; d = path.Dir(d) {
			if name := path.Base(d); !isISOName(name) {
				return nil, fmt.Errorf("%s: ISO 9660 has names of 8 letters and an extension of 3", f)
			}
			if d != f {
				dirs = append(dirs, d)
			}
		}
	}
	depth := func(d string) int { return strings.Count(d, "/") + min(len(d), 1) }
	slices.SortFunc(dirs, func(a, b string) int {
		if depth(a) != depth(b) {
			return depth(a) - depth(b)
		}
		return strings.Compare(a, b)
	})
	for _, d := range slices.Compact(dirs) {
		t.entries = append(t.entries, isoEntry{path: d, dir: true})
	}
	t.dirs = len(t.entries)
	for _, f := range files {
		t.entries = append(t.entries, isoEntry{path: f})
	}
	return t, nil
}

func isISOName(name string) bool {
	base, ext, _ := strings.Cut(name, ".")
	letters := strings.Trim(strings.ToLower(base+ext), "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
	return letters && base != "" && len(base) <= 8 && len(ext) <= 3
}

// children are the indexes of what a directory holds, in the order of their
// names.
func (t *isoTree) children(dir int) []int {
	var list []int
	for i, e := range t.entries {
		above := path.Dir(e.path)
		if above == "." {
			above = ""
		}
		if i != 0 && above == t.entries[dir].path {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int {
		return strings.Compare(t.entries[a].identifier(), t.entries[b].identifier())
	})
	return list
}

// parent is the index of the directory that entry i is in; the root is in
// itself.
func (t *isoTree) parent(i int) int {
	above := path.Dir(t.entries[i].path)
	if above == "." || i == 0 {
		return 0
	}
	return slices.IndexFunc(t.entries[:t.dirs], func(e isoEntry) bool { return e.path == above })
}

// identifier is the name in a directory: "VMLINUZ.;1".
func (e isoEntry) identifier() string {
	name := strings.ToUpper(path.Base(e.path))
	switch {
	case e.path == "":
		return "\x00"
	case e.dir:
		return name
	case !strings.Contains(name, "."):
		name += "."
	}
	return name + ";1"
}

// placeDirs gives the directories their sectors from next on, and returns the
// first free one.
func (t *isoTree) placeDirs(next uint32) uint32 {
	for i := range t.dirs {
		t.entries[i].sector = next
		t.entries[i].size = int64(len(t.directory(i, time.Time{})))
		next += uint32(t.entries[i].size / sector)
	}
	return next
}

// place says where a file is.
func (t *isoTree) place(name string, at, size int64) {
	i := slices.IndexFunc(t.entries, func(e isoEntry) bool { return e.path == name && !e.dir })
	t.entries[i].sector, t.entries[i].size = uint32(at/sector), size
}

// directory is the content of directory i (ECMA-119, 6.8).
func (t *isoTree) directory(i int, when time.Time) []byte {
	var b []byte
	put := func(record []byte) {
		if room := sector - len(b)%sector; len(record) > room {
			b = append(b, make([]byte, room)...) // records do not cross sectors
		}
		b = append(b, record...)
	}
	put(t.entries[i].record("\x00", when))
	put(t.entries[t.parent(i)].record("\x01", when))
	for _, c := range t.children(i) {
		put(t.entries[c].record(t.entries[c].identifier(), when))
	}
	return append(b, make([]byte, roundUp(len(b), sector)-len(b))...)
}

// record is a directory record (ECMA-119, 9.1).
func (e isoEntry) record(identifier string, when time.Time) []byte {
	b := make([]byte, roundUp(33+len(identifier), 2))
	b[0] = byte(len(b))
	both32(b[2:], e.sector)
	both32(b[10:], uint32(e.size))
	when = when.UTC()
	copy(b[18:], []byte{byte(when.Year() - 1900), byte(when.Month()), byte(when.Day()), byte(when.Hour()), byte(when.Minute()), byte(when.Second()), 0})
	if e.dir {
		b[25] = 2
	}
	both16(b[28:], 1) // volume
	b[32] = byte(len(identifier))
	copy(b[33:], identifier)
	return b
}

// pathTable is the list of directories (ECMA-119, 9.4) in one byte order.
func (t *isoTree) pathTable(order binary.AppendByteOrder) []byte {
	var b []byte
	for i, e := range t.entries[:t.dirs] {
		id := e.identifier()
		b = append(b, byte(len(id)), 0)
		b = order.AppendUint32(b, e.sector)
		b = order.AppendUint16(b, uint16(t.parent(i)+1))
		b = append(b, id...)
		if len(id)%2 == 1 {
			b = append(b, 0)
		}
	}
	return b
}

// descriptor is the primary volume descriptor (ECMA-119, 8.4) of a volume with
// that many sectors.
func (t *isoTree) descriptor(label string, sectors, tableL, tableM uint32, when time.Time) []byte {
	b := bytes.Repeat([]byte{' '}, sector)
	copy(b, "\x01CD001\x01\x00")
	clear(b[72:80])
	copy(b[40:72], pad(label, 32))
	both32(b[80:], sectors)
	clear(b[88:120])
	both16(b[120:], 1) // volumes in the set, the number of this one
	both16(b[124:], 1)
	both16(b[128:], sector)
	both32(b[132:], uint32(len(t.pathTable(binary.LittleEndian))))
	binary.LittleEndian.PutUint32(b[140:], tableL)
	binary.LittleEndian.PutUint32(b[144:], 0)
	binary.BigEndian.PutUint32(b[148:], tableM)
	binary.BigEndian.PutUint32(b[152:], 0)
	copy(b[156:190], t.entries[0].record("\x00", when))
	copy(b[574:], "RAMBOX") // application
	stamp, never := when.UTC().Format("20060102150405")+"00\x00", strings.Repeat("0", 16)+"\x00"
	for i, s := range [...]string{stamp, stamp, never, never} { // made, changed, expires, effective
		copy(b[813+17*i:], s)
	}
	b[881], b[882] = 1, 0
	clear(b[883:])
	return b
}

// both16 and both32 write a number in both byte orders (ECMA-119, 7.2.3, 7.3.3).
func both16(b []byte, n uint16) {
	binary.LittleEndian.PutUint16(b, n)
	binary.BigEndian.PutUint16(b[2:], n)
}

func both32(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], n)
}
