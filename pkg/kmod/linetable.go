package kmod

import (
	"math/bits"
	"strings"
	"sync"
)

// lineTable finds lines by the module name in them. Each line begins with a path, which ends at a colon or at the line's
// end: "kernel/fs/ext4/ext4.ko" or "kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko". It is an open-addressing hash table of
// line offsets, because a Go map of names would cost a string for each file name with a '-' in it.
type lineTable struct {
	text  string
	once  sync.Once
	slots []int32 // offset of a line plus one, or 0; the length is a power of two
}

// find returns the first line, without its newline, for the module with this canonical name.
func (t *lineTable) find(name string) (line string, ok bool) {
	t.once.Do(t.build)
	if len(t.slots) == 0 || name == "" {
		return "", false
	}
	mask := hash(len(t.slots) - 1)
	for i := hashOf(name) & mask; t.slots[i] != 0; i = (i + 1) & mask {
		pos := int(t.slots[i] - 1)
		line := strings.TrimSuffix(t.text[pos:lineEnd(t.text, pos)], "\n")
		if sameName(baseName(line), name) {
			return line, true
		}
	}
	return "", false
}

func (t *lineTable) build() {
	size := 4
	for pos := 0; pos < len(t.text); pos = lineEnd(t.text, pos) {
		size += 2
	}
	size = 1 << bits.Len(uint(size))
	t.slots = make([]int32, size)
	mask := hash(size - 1)
	for pos, end := 0, 0; pos < len(t.text); pos = end {
		end = lineEnd(t.text, pos)
		name := baseName(t.text[pos:end])
		if name == "" {
			continue
		}
		i := hashOf(name) & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = int32(pos + 1)
	}
}

// lineEnd returns where the line after the one at pos begins.
func lineEnd(text string, pos int) int {
	if i := strings.IndexByte(text[pos:], '\n'); i >= 0 {
		return pos + i + 1
	}
	return len(text)
}

// baseName returns the file name of the path that the line begins with, up to its first dot and as it is written.
func baseName(line string) string {
	end := strings.IndexByte(line, ':')
	if end < 0 {
		end = len(strings.TrimSuffix(line, "\n"))
	}
	start := end
	for ; start > 0 && line[start-1] != '/'; start-- {
		if line[start-1] == '.' {
			end = start - 1
		}
	}
	return line[start:end]
}

// hash is the FNV-1a hash of bytes after fold. Nothing depends on its being hard to collide.
type hash uint32

const hashStart hash = 2166136261

func (h hash) add(c byte) hash { return (h ^ hash(fold(c))) * 16777619 }

func hashOf(name string) hash {
	h := hashStart
	for i := range len(name) {
		h = h.add(name[i])
	}
	return h
}

// fold makes '-' and '_' one, as libkmod's alias_normalize does.
func fold(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}

func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}
