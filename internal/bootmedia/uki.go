package bootmedia

import (
	"bufio"
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// UKI is a unified kernel image: a program for UEFI that has a kernel with all
// that it needs in its sections (the UAPI group's specification; the stub is systemd-stub(7)).
type UKI struct {
	Arch    string // GOARCH
	Stub    []byte // the program that starts the kernel
	Release string // of the kernel; "": not known
	Cmdline string
	Kernel  *io.SectionReader
	Initrd  *io.SectionReader // nil: none
}

// Write writes the image and returns its size in bytes.
func (u *UKI) Write(w io.Writer) (int64, error) {
	p, err := u.program()
	if err != nil {
		return 0, err
	}
	sum := &checksum{}
	if err := writeExtents(sum, p.extents, p.size); err != nil {
		return 0, err
	}
	binary.LittleEndian.PutUint32(p.head[p.checksum:], sum.of(p.size))
	buffered := bufio.NewWriterSize(w, 1<<20)
	if err := writeExtents(buffered, p.extents, p.size); err != nil {
		return 0, err
	}
	return p.size, buffered.Flush()
}

// Layout is the image without its being written anywhere. Only the stub has been
// read: the checksum, which firmware does not look at, is 0.
func (u *UKI) Layout() (*Layout, error) {
	p, err := u.program()
	if err != nil {
		return nil, err
	}
	return &p.Layout, nil
}

// CheckStub returns an error if a program cannot be the stub for an architecture
// by Go's name.
func CheckStub(stub []byte, arch string) error {
	_, err := readStub(stub, machines[arch])
	return err
}

// program is the image with the checksum 0.
func (u *UKI) program() (*program, error) {
	if err := checkCmdline(u.Cmdline); err != nil {
		return nil, err
	}
	stub, err := readStub(u.Stub, machines[u.Arch])
	if err != nil {
		return nil, err
	}
	release := ""
	if u.Release != "" {
		release = fmt.Sprintf("PRETTY_NAME=\"Rambox (%s)\"\nVERSION_ID=%[1]s\n", u.Release)
	}
	sections := []File{
		Bytes(".osrel", []byte("ID=rambox\nNAME=Rambox\n"+release)),
		Bytes(".cmdline", []byte(u.Cmdline)),
	}
	if u.Release != "" {
		sections = append(sections, Bytes(".uname", []byte(u.Release)))
	}
	if u.Initrd != nil {
		sections = append(sections, File{".initrd", u.Initrd})
	}
	// The kernel is last, as ukify has it: a stub may start it where it is, and it
	// needs room behind it.
	return stub.with(append(sections, File{".linux", u.Kernel}))
}

// program is a PE program with sections that have been added to it.
type program struct {
	Layout
	head     []byte // the first extent
	checksum int    // its offset
}

// stub is a PE program that sections can be added to.
type stub struct {
	image    []byte // up to the last section's end
	header   int    // offset of the optional header
	table    int    // offset of the section table's free place
	count    int    // sections
	room     int    // free places in the table
	file     uint32 // alignment of sections in the file
	memory   uint32 // and in memory
	next     uint32 // the first free address
	sections map[string]bool
}

// page is what sections are aligned to in memory, at least.
const page = 4096

// Offsets in the optional header of a PE32+ program (PE format, "Optional Header").
const (
	optInitialized = 8
	optSizeOfImage = 56
	optChecksum    = 64
	optSize        = 112
)

// readStub checks that a program for machine can be extended.
func readStub(b []byte, machine uint16) (*stub, error) {
	f, err := pe.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the stub is no program for UEFI: %w", err)
	}
	opt, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	switch {
	case f.Machine != machine:
		return nil, fmt.Errorf("the stub is for the machine %#x, the kernel for %#x", f.Machine, machine)
	case !ok || f.SizeOfOptionalHeader < optSize:
		return nil, errors.New("the stub is no 64-bit program")
	case opt.Subsystem != pe.IMAGE_SUBSYSTEM_EFI_APPLICATION:
		return nil, fmt.Errorf("the stub is no program for UEFI: its subsystem is %d", opt.Subsystem)
	case opt.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY].Size != 0:
		return nil, errors.New("the stub is signed, and its signature would not hold; use an unsigned one and sign the image")
	case !isPower(opt.FileAlignment, 512, 1<<16) || !isPower(opt.SectionAlignment, 512, 1<<21):
		return nil, fmt.Errorf("the stub's sections are aligned to %d bytes, in memory to %d", opt.FileAlignment, opt.SectionAlignment)
	}
	header := int(binary.LittleEndian.Uint32(b[60:])) + 24 // NewFile has read it
	s := &stub{
		header: header, table: header + int(f.SizeOfOptionalHeader) + 40*len(f.Sections), count: len(f.Sections),
		file: opt.FileAlignment, memory: max(opt.SectionAlignment, page), sections: map[string]bool{},
	}
	return s, s.measure(b, f, opt)
}

func isPower(n, least, most uint32) bool { return n&(n-1) == 0 && least <= n && n <= most }

// measure finds where sections can go, in the table, the file and memory.
func (s *stub) measure(b []byte, f *pe.File, opt *pe.OptionalHeader64) error {
	headers := uint64(opt.SizeOfHeaders)
	first, end, next := headers, max(headers, uint64(s.table)), headers
	for _, section := range f.Sections {
		s.sections[section.Name] = true
		if section.NumberOfRelocations > 0 {
			return fmt.Errorf("the stub is not linked: its section %s has relocations", section.Name)
		}
		if len(section.Name) > 8 {
			return fmt.Errorf("the stub has a section with the long name %s, which a program without symbols cannot have", section.Name)
		}
		if section.Size > 0 {
			first = min(first, uint64(section.Offset))
			end = max(end, uint64(section.Offset)+uint64(section.Size))
		}
		next = max(next, uint64(section.VirtualAddress)+uint64(max(section.VirtualSize, section.Size)))
	}
	switch {
	case s.sections[".linux"]:
		return errors.New("the stub has a kernel already: it is a unified kernel image")
	case end > uint64(len(b)):
		return fmt.Errorf("the stub is cut off: it has %d bytes, its sections end at %d", len(b), end)
	case next > math.MaxInt32:
		return fmt.Errorf("the stub's sections end at address %#x", next)
	}
	s.room = (int(first) - s.table) / 40
	s.next = roundUp(uint32(next), s.memory)
	s.image = b[:end:end]
	return nil
}

// with is the program with sections behind its own. It has a copy of the stub's
// header alone.
func (s *stub) with(sections []File) (*program, error) {
	if len(sections) > s.room {
		return nil, fmt.Errorf("the stub's header has room for %d more sections, not for %d", max(s.room, 0), len(sections))
	}
	headers := s.table + 40*len(sections)
	head := bytes.Clone(s.image[:headers])
	at, address := int64(roundUp(uint32(len(s.image)), s.file)), int64(s.next)
	extents := []extent{{0, "the stub's header", section(head)}, {int64(headers), "the stub", section(s.image[headers:])}}
	le, end, added := binary.LittleEndian, address, uint32(0)
	for i, f := range sections {
		size := f.Data.Size()
		stored := roundUp(size, int64(s.file))
		end = address + size
		if at+stored > math.MaxInt32 || end > math.MaxInt32 {
			return nil, fmt.Errorf("section %s ends beyond 2 GiB, where firmware cannot load it", f.Path)
		}
		b := head[s.table+40*i:][:40]
		clear(b)
		copy(b, f.Path)
		le.PutUint32(b[8:], uint32(size))
		le.PutUint32(b[12:], uint32(address))
		le.PutUint32(b[16:], uint32(stored))
		le.PutUint32(b[20:], uint32(at))
		le.PutUint32(b[36:], pe.IMAGE_SCN_CNT_INITIALIZED_DATA|pe.IMAGE_SCN_MEM_READ)
		if size > 0 {
			extents = append(extents, extent{at, "section " + strings.TrimPrefix(f.Path, "."), f.Data})
		}
		at, address, added = at+stored, roundUp(end, int64(s.memory)), added+uint32(stored)
	}
	clear(head[s.header-12 : s.header-4]) // the symbol table, which is behind the sections: of no use here
	opt := head[s.header:]
	le.PutUint16(head[s.header-18:], uint16(s.count+len(sections)))
	le.PutUint32(opt[optInitialized:], le.Uint32(opt[optInitialized:])+added)
	le.PutUint32(opt[optSizeOfImage:], uint32(roundUp(end, int64(s.memory))))
	le.PutUint32(opt[optChecksum:], 0)
	return &program{Layout{extents, at}, head, s.header + optChecksum}, nil
}

// checksum is that of PE programs: the sum of 16-bit words with its carries,
// and the file's size.
type checksum struct {
	sum uint64
	odd bool // the next byte is a word's high one
}

func (c *checksum) Write(p []byte) (int, error) {
	for _, b := range p {
		if c.odd {
			c.sum += uint64(b) << 8
		} else {
			c.sum += uint64(b)
		}
		c.odd = !c.odd
	}
	return len(p), nil
}

func (c *checksum) of(size int64) uint32 {
	sum := c.sum
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint32(sum) + uint32(size)
}
