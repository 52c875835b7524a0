package bootmedia

import (
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

const (
	fatSector = 512 // also on a CD: firmware reads FAT by bytes there
	fatRoot   = 512 // entries of the root directory, as others have it
	fatEntry  = 32  // bytes of a directory's entry
)

// fatVolume is a FAT12 or FAT16 file system whose files are in one piece each,
// at multiples of a CD's sector.
type fatVolume struct {
	bits     int   // 12 or 16
	cluster  int64 // bytes
	reserved int64 // sectors before the first FAT
	fatSize  int64 // sectors of one FAT
	data     int64 // bytes before the first cluster
	clusters int64
	size     int64 // bytes
	extents  []extent
	at       map[string]int64 // of each file, bytes from the start
}

// fatNode is a file or a directory.
type fatNode struct {
	name     string
	file     *io.SectionReader // nil for a directory
	children []*fatNode
	first    int64 // cluster; 0 for an empty file and the root
	count    int64 // clusters
}

// layoutFAT lays files out on a file system. Times before 1980 are 1980.
func layoutFAT(files []File, id uint32, label string, t time.Time) (*fatVolume, error) {
	root := &fatNode{}
	for _, f := range files {
		root.add(strings.Split(f.Path, "/"), f.Data)
	}
	v := &fatVolume{at: map[string]int64{}}
	if err := v.shape(root); err != nil {
		return nil, err
	}
	table := newFATTable(v)
	next := int64(2)
	root.place(v.cluster, &next, table)
	if next != v.clusters+2 {
		return nil, fmt.Errorf("the FAT has %d clusters, and %d are in use", v.clusters, next-2)
	}
	head := make([]byte, v.data)
	v.bootSector(head, id, label)
	for i := range int64(2) {
		copy(head[(v.reserved+i*v.fatSize)*fatSector:], table.bytes())
	}
	v.directory(head[v.data-fatRoot*fatEntry:v.data], root, nil, label, t)
	v.extents = append(v.extents, extent{0, "the FAT's tables", section(head)})
	v.subtree(root, "", t)
	return v, nil
}

// add puts a file into the tree; directories come as they are named.
func (n *fatNode) add(words []string, data *io.SectionReader) {
	i := slices.IndexFunc(n.children, func(c *fatNode) bool { return c.name == words[0] })
	if i < 0 {
		i = len(n.children)
		n.children = append(n.children, &fatNode{name: words[0]})
	}
	if len(words) == 1 {
		n.children[i].file = data
		return
	}
	n.children[i].add(words[1:], data)
}

// entries is how many the directory needs, with those of long names and its
// own two or the label.
func (n *fatNode) entries() int64 {
	count := int64(2)
	for _, c := range n.children {
		count += 1 + int64(len(longName(c.name)))
	}
	return count
}

func (n *fatNode) bytes() int64 {
	if n.file != nil {
		return n.file.Size()
	}
	return n.entries() * fatEntry
}

// clusters is how many everything below n needs.
func (n *fatNode) clusters(size int64) int64 {
	sum := int64(0)
	for _, c := range n.children {
		sum += roundUp(c.bytes(), size)/size + c.clusters(size)
	}
	return sum
}

// shape chooses the clusters' size. FAT12 has at most 4084 clusters, FAT16
// 65524 (Microsoft's FAT specification, 1.03).
func (v *fatVolume) shape(root *fatNode) error {
	for v.cluster = sector; v.cluster <= 32768; v.cluster *= 2 {
		v.clusters = root.clusters(v.cluster)
		if v.clusters > 65524 {
			continue
		}
		v.bits = 16
		if v.clusters <= 4084 {
			v.bits = 12
		}
		v.fatSize = (roundUp((v.clusters+2)*int64(v.bits), 8)/8 + fatSector - 1) / fatSector
		// The boot sector, and as many as bring the first cluster to a CD's sector.
		v.reserved = 1
		for (v.reserved+2*v.fatSize)*fatSector%sector != 0 {
			v.reserved++
		}
		v.data = (v.reserved+2*v.fatSize)*fatSector + fatRoot*fatEntry
		v.size = v.data + v.clusters*v.cluster
		return nil
	}
	return fmt.Errorf("the files need %d clusters, and FAT16 has 65524", v.clusters)
}

// place gives everything below n its clusters, in one piece each.
func (n *fatNode) place(size int64, next *int64, table *fatTable) {
	for _, c := range n.children {
		if c.count = roundUp(c.bytes(), size) / size; c.count > 0 {
			c.first = *next
			*next += c.count
			table.chain(c.first, c.count)
		}
	}
	for _, c := range n.children {
		c.place(size, next, table)
	}
}

// subtree adds the extents of everything below n.
func (v *fatVolume) subtree(n *fatNode, dir string, t time.Time) {
	for _, c := range n.children {
		name, offset := path.Join(dir, c.name), v.data+(c.first-2)*v.cluster
		if c.file != nil {
			if c.count > 0 {
				v.at[name] = offset
				v.extents = append(v.extents, extent{offset, name, c.file})
			}
			continue
		}
		b := make([]byte, c.count*v.cluster)
		v.directory(b, c, n, "", t)
		v.extents = append(v.extents, extent{offset, name, section(b)})
		v.subtree(c, name, t)
	}
}

// bootSector writes the BIOS parameter block.
func (v *fatVolume) bootSector(b []byte, id uint32, label string) {
	le := binary.LittleEndian
	copy(b, "\xeb\x3c\x90rambox  ")
	le.PutUint16(b[11:], fatSector)
	b[13] = byte(v.cluster / fatSector)
	le.PutUint16(b[14:], uint16(v.reserved))
	b[16] = 2 // FATs
	le.PutUint16(b[17:], fatRoot)
	if sectors := v.size / fatSector; sectors < 1<<16 {
		le.PutUint16(b[19:], uint16(sectors))
	} else {
		le.PutUint32(b[32:], uint32(sectors))
	}
	b[21] = 0xf8 // a disk
	le.PutUint16(b[22:], uint16(v.fatSize))
	le.PutUint16(b[24:], 32) // sectors per track
	le.PutUint16(b[26:], 64) // heads
	b[36], b[38] = 0x80, 0x29
	le.PutUint32(b[39:], id)
	copy(b[43:54], pad(label, 11))
	copy(b[54:62], pad(fmt.Sprintf("FAT%d", v.bits), 8))
	b[62], b[63] = 0xeb, 0xfe // who starts it as a program stays here
	le.PutUint16(b[510:], 0xaa55)
}

// fatTable is a file allocation table.
type fatTable struct {
	bits    int
	entries []uint16
}

func newFATTable(v *fatVolume) *fatTable {
	t := &fatTable{v.bits, make([]uint16, v.clusters+2)}
	t.entries[0], t.entries[1] = 0xfff8, 0xffff
	return t
}

func (t *fatTable) chain(first, count int64) {
	for c := first; c < first+count-1; c++ {
		t.entries[c] = uint16(c + 1)
	}
	t.entries[first+count-1] = 0xffff
}

func (t *fatTable) bytes() []byte {
	b := make([]byte, 0, 2*len(t.entries)+2)
	if t.bits == 16 {
		for _, e := range t.entries {
			b = binary.LittleEndian.AppendUint16(b, e)
		}
		return b
	}
	for i := 0; i < len(t.entries); i += 2 {
		low, high := t.entries[i]&0xfff, uint16(0)
		if i+1 < len(t.entries) {
			high = t.entries[i+1] & 0xfff
		}
		b = append(b, byte(low), byte(low>>8|high<<4), byte(high>>4))
	}
	return b
}

// directory writes the entries of n. Its parent is nil for the root, which has
// the volume's label in place of "." and "..".
func (v *fatVolume) directory(b []byte, n, parent *fatNode, label string, t time.Time) {
	put := func(short string, attr byte, first, size int64) {
		copy(b, short)
		b[11] = attr
		day, clock := fatTime(t)
		for _, at := range [...]int{14, 22} { // made, written
			binary.LittleEndian.PutUint16(b[at:], clock)
			binary.LittleEndian.PutUint16(b[at+2:], day)
		}
		binary.LittleEndian.PutUint16(b[18:], day)
		binary.LittleEndian.PutUint16(b[26:], uint16(first))
		binary.LittleEndian.PutUint32(b[28:], uint32(size))
		b = b[fatEntry:]
	}
	const volume, dir, archive = 0x08, 0x10, 0x20
	if parent == nil {
		put(pad(label, 11), volume, 0, 0)
	} else {
		put(pad(".", 11), dir, n.first, 0)
		put(pad("..", 11), dir, parent.first, 0)
	}
	for i, c := range n.children {
		short := shortName(c.name, i)
		for _, part := range longEntries(c.name, short) {
			copy(b, part)
			b = b[fatEntry:]
		}
		if c.file != nil {
			put(short, archive, c.first, c.file.Size())
		} else {
			put(short, dir, c.first, 0)
		}
	}
}

// fatTime is a time in FAT's two words, in steps of two seconds from 1980.
func fatTime(t time.Time) (day, clock uint16) {
	t = t.UTC()
	if t.Year() < 1980 {
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()), uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
}

// pad fills up with spaces.
func pad(s string, n int) string { return (s + strings.Repeat(" ", n))[:n] }

// shortName is the name in 8.3 form, without its dot. Names that do not fit get
// a number, which tells them apart in their directory.
func shortName(name string, number int) string {
	base, ext, _ := strings.Cut(strings.ToUpper(name), ".")
	if longName(name) == nil {
		return pad(base, 8) + pad(ext, 3)
	}
	tail := fmt.Sprintf("~%d", number+1)
	return pad(base[:min(len(base), 8-len(tail))]+tail, 8) + pad(ext, 3)
}

// longName is a name in pieces of 13 characters if it does not fit in 8.3, which
// has no small letters.
func longName(name string) [][]uint16 {
	base, ext, _ := strings.Cut(name, ".")
	if name == strings.ToUpper(name) && len(base) <= 8 && len(ext) <= 3 {
		return nil
	}
	return slices.Collect(slices.Chunk(utf16.Encode([]rune(name)), 13))
}

// longEntries are the entries of a long name, the last piece first.
func longEntries(name, short string) []string {
	sum := byte(0)
	for i := range len(short) {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	pieces := longName(name)
	var entries []string
	for i := len(pieces) - 1; i >= 0; i-- {
		var e [fatEntry]byte
		e[0], e[11], e[13] = byte(i+1), 0x0f, sum
		if i == len(pieces)-1 {
			e[0] |= 0x40
		}
		places := [13]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}
		for k, at := range places {
			c := uint16(0xffff)
			switch {
			case k < len(pieces[i]):
				c = pieces[i][k]
			case k == len(pieces[i]):
				c = 0 // ends a name that leaves room
			}
			binary.LittleEndian.PutUint16(e[at:], c)
		}
		entries = append(entries, string(e[:]))
	}
	return entries
}
