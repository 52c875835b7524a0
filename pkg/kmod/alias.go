package kmod

import (
	"slices"
	"strings"
	"sync"
)

// keyLen is the number of bytes of a pattern that aliasTable looks at. It separates the vendors of "pci:v00001AF4d…".
// A longer key makes more runs, a shorter one makes longer runs.
const keyLen = 13

// aliasTable finds the lines "alias PATTERN MODULE" of modules.alias whose pattern can match a modalias. The key of a
// pattern is its text up to the first wildcard, or its first keyLen bytes. Neighbouring lines with equal keys form a
// run. A modalias has keyLen+1 possible keys, its prefixes, so a look-up tries the runs of those and no others.
type aliasTable struct {
	text    string
	once    sync.Once
	runs    []run
	buckets []int32  // first run by hash of the key, or -1; the length is a power of two
	heads   []string // distinct keys of bus aliases, ended by their first ':' or wildcard: "pci:", "acpi"
	lengths uint32   // bit n is set when a key of n bytes exists
}

// run is text[start:end], whole lines.
type run struct {
	start, end int32
	next       int32 // the next run in the bucket, or -1
	key        hash
	keyLen     uint8
}

const aliasWord = "alias "

// matches returns the canonical names of the modules whose patterns match modalias, in file order, each once.
func (t *aliasTable) matches(modalias string) (names []string) {
	t.once.Do(t.build)
	if len(t.runs) == 0 {
		return nil
	}
	var found []int32 // offsets of matching lines, in order
	h := hashStart
	for n := 0; ; n++ {
		if t.lengths&(1<<n) != 0 {
			for i := t.buckets[int(h)&(len(t.buckets)-1)]; i >= 0; i = t.runs[i].next {
				if r := &t.runs[i]; r.key == h && int(r.keyLen) == n {
					found = t.scan(found, r, modalias)
				}
			}
		}
		if n == keyLen || n == len(modalias) {
			break
		}
		h = h.add(modalias[n])
	}
	for _, pos := range found {
		line := t.text[pos:lineEnd(t.text, int(pos))]
		_, name, _ := strings.Cut(strings.TrimSuffix(line[len(aliasWord):], "\n"), " ")
		if name = canonical(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// scan puts the offsets of the lines of r whose pattern matches into found, which stays in order.
func (t *aliasTable) scan(found []int32, r *run, modalias string) []int32 {
	text := t.text[:r.end]
	for pos := int(r.start); pos < len(text); pos = lineEnd(text, pos) {
		pattern := text[pos+len(aliasWord):]
		if differs(pattern, modalias, int(r.keyLen)) {
			continue
		}
		if i := strings.IndexByte(pattern, ' '); i >= 0 && match(pattern[:i], modalias) {
			at, _ := slices.BinarySearch(found, int32(pos))
			found = slices.Insert(found, at, int32(pos))
		}
	}
	return found
}

// differs reports whether the pattern that lines begins with has, from byte n on and before its first wildcard, another
// byte than modalias. It is what tells most lines of a long run apart, before their ends are known.
func differs(lines, modalias string, n int) bool {
	for ; n < len(lines) && n < len(modalias); n++ {
		if c := lines[n]; special(c) || c == ' ' {
			return false
		} else if c != modalias[n] && fold(c) != fold(modalias[n]) {
			return true
		}
	}
	return false
}

// patternHeads returns the heads of the patterns, each once.
func (t *aliasTable) patternHeads() []string {
	t.once.Do(t.build)
	return t.heads
}

func (t *aliasTable) build() {
	t.runs = make([]run, 0, len(t.text)/100+1)
	var last *run
	var lastKey, lastHead string // lastKey includes the byte that ended it, if it is short
	for pos, end := 0, 0; pos < len(t.text); pos = end {
		end = lineEnd(t.text, pos)
		line := t.text[pos:end]
		if !strings.HasPrefix(line, aliasWord) {
			continue
		}
		line = line[len(aliasWord):]
		if last != nil && int(last.end) == pos && strings.HasPrefix(line, lastKey) {
			last.end = int32(end)
			continue
		}
		key, h, head := keyOf(line)
		lastKey = line[:min(len(key)+1, keyLen, len(line))]
		t.runs = append(t.runs, run{start: int32(pos), end: int32(end), key: h, keyLen: uint8(len(key))})
		last = &t.runs[len(t.runs)-1]
		t.lengths |= 1 << len(key)
		if head != lastHead && head != "" && !slices.Contains(t.heads, head) {
			t.heads = append(t.heads, head)
		}
		lastHead = head
	}
	t.link()
}

// link puts the runs into buckets, each bucket in file order.
func (t *aliasTable) link() {
	size := 1
	for size < len(t.runs) {
		size *= 2
	}
	t.buckets = make([]int32, size)
	for i := range t.buckets {
		t.buckets[i] = -1
	}
	for i := len(t.runs) - 1; i >= 0; i-- {
		r := &t.runs[i]
		first := &t.buckets[int(r.key)&(size-1)]
		r.next, *first = *first, int32(i)
	}
}

// keyOf returns the key of the pattern that s begins with, the key's hash, and its head: the key up to its first ':' or,
// without one, the whole key if a wildcard ends it. A plain name such as "fs-ext4" has no head.
func keyOf(s string) (key string, h hash, head string) {
	h = hashStart
	n := 0
	for ; n < len(s) && n < keyLen; n++ {
		switch s[n] {
		case '*', '?', '[', '\\':
			if head == "" {
				head = s[:n]
			}
			return s[:n], h, head
		case ' ', '\n':
			return s[:n], h, head
		case ':':
			if head == "" {
				head = s[:n+1]
			}
		}
		h = h.add(s[n])
	}
	return s[:n], h, head
}
