package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// lighter is the beginning of a module, changed.
type lighter struct {
	of      content
	size    int64 // bytes
	changes []change
}

// change puts bytes in the place of others.
type change struct {
	offset int64
	bytes  []byte
}

func (l lighter) Open() (io.ReadCloser, error) {
	r, err := l.of.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, l.size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	for _, c := range l.changes {
		copy(data[c.offset:], c.bytes)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// debugging are sections for tracing and for the kernel's own backtraces. It
// spends half of the time in which it loads a module on them: a look at all
// symbols for each traced function, a sort, a check of the types.
var debugging = []string{"__mcount_loc", "__patchable_function_entries", ".orc_unwind", ".orc_unwind_ip", ".BTF"}

// unloaded returns the changes to a module's section headers that make the
// kernel pass over the debugging sections. It looks only at sections that are
// to be in memory (find_sec in kernel/module/main.c, v6.12), but for those of
// types, of which it takes all bytes that there are.
func unloaded(r io.ReaderAt) ([]change, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	table, err := sectionTable(r, f)
	if err != nil {
		return nil, fmt.Errorf("read module's section headers: %w", err)
	}
	var changes []change
	zero := make([]byte, table.word)
	for i, s := range f.Sections {
		if !slices.Contains(debugging, s.Name) {
			continue
		}
		header := table.start + int64(i)*table.entry
		flags := slices.Clone(zero)
		if table.word == 8 {
			f.ByteOrder.PutUint64(flags, uint64(s.Flags&^elf.SHF_ALLOC))
		} else {
			f.ByteOrder.PutUint32(flags, uint32(s.Flags&^elf.SHF_ALLOC))
		}
		// sh_name and sh_type are four bytes each, then come sh_flags, sh_addr, sh_offset, sh_size.
		changes = append(changes, change{header + 8, flags})
		if s.Name == ".BTF" {
			changes = append(changes, change{header + 8 + 3*table.word, zero})
		}
	}
	return changes, nil
}

// headers says where the section headers of an ELF file are.
type headers struct {
	start, entry int64 // bytes: the first, and from one to the next
	word         int64 // bytes in an address
}

// sectionTable reads what debug/elf keeps to itself of the file's header.
func sectionTable(r io.ReaderAt, f *elf.File) (headers, error) {
	section := io.NewSectionReader(r, 0, 64)
	if f.Class == elf.ELFCLASS64 {
		var h elf.Header64
		err := binary.Read(section, f.ByteOrder, &h)
		return headers{int64(h.Shoff), int64(h.Shentsize), 8}, err
	}
	var h elf.Header32
	err := binary.Read(section, f.ByteOrder, &h)
	return headers{int64(h.Shoff), int64(h.Shentsize), 4}, err
}
