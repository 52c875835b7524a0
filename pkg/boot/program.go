//go:build linux

package boot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// program is an open file that may be a program. It is read by plain system
// calls: see kmod.DirFS.
type program int

func (p program) ReadAt(b []byte, offset int64) (int, error) {
	n, err := unix.Pread(int(p), b, offset)
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return max(n, 0), err
}

func (p program) close() { unix.Close(int(p)) }

// inRoot opens a path as it will resolve once root is "/".
func inRoot(root int, path string) (program, error) {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_IN_ROOT})
	if err == unix.ENOSYS { // before Linux 5.6; absolute links then lead astray
		fd, err = unix.Openat(root, strings.TrimLeft(path, "/"), flags, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	return program(fd), nil
}

// executable checks what execve would: a regular file with an x bit whose ELF
// or #! interpreter is there too.
func executable(root int, path string) error {
	f, err := inRoot(root, path)
	if err != nil {
		return err
	}
	defer f.close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f), &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return fmt.Errorf("%s: not an executable file (mode %#o)", path, st.Mode)
	}
	interpreter, err := interpreterOf(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if interpreter == "" {
		return nil
	}
	i, err := inRoot(root, interpreter)
	if err != nil {
		return fmt.Errorf("%s: its interpreter: %w", path, err)
	}
	i.close()
	return nil
}

var errNotProgram = errors.New("neither an ELF program of this machine nor a script (#!)")

// interpreterOf reads the interpreter of a program from its "#!" line or from
// the PT_INTERP header of its ELF file (elf(5)); "" for a static program.
func interpreterOf(f io.ReaderAt) (string, error) {
	head := make([]byte, 256)
	n, err := f.ReadAt(head, 0)
	if n < 64 && err != nil && (n < 2 || string(head[:2]) != "#!") {
		return "", errNotProgram
	}
	if string(head[:2]) == "#!" {
		line, _, _ := strings.Cut(string(head[2:n]), "\n")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			return "", errNotProgram
		}
		return fields[0], nil
	}
	if string(head[:4]) != "\x7fELF" || head[5] != 1 { // little-endian
		return "", errNotProgram
	}
	le := binary.LittleEndian
	// Where the program headers are, and in each the offset and size of its
	// part of the file.
	phoff, phentsize, phnum := uint64(le.Uint32(head[28:])), le.Uint16(head[42:]), le.Uint16(head[44:])
	wide := head[4] == 2
	if wide {
		phoff, phentsize, phnum = le.Uint64(head[32:]), le.Uint16(head[54:]), le.Uint16(head[56:])
	}
	const ptInterp = 3
	entry := 32
	if wide {
		entry = 56
	}
	// load_elf_phdrs, fs/binfmt_elf.c (v6.12), accepts nothing else.
	headers := make([]byte, entry*int(phnum))
	if int(phentsize) != entry || len(headers) == 0 || len(headers) > 64<<10 {
		return "", errNotProgram
	}
	if _, err := f.ReadAt(headers, int64(phoff)); err != nil {
		return "", fmt.Errorf("read program headers: %w", err)
	}
	for ; len(headers) > 0; headers = headers[entry:] {
		ph := headers[:entry]
		if le.Uint32(ph) != ptInterp {
			continue
		}
		offset, size := uint64(le.Uint32(ph[4:])), uint64(le.Uint32(ph[16:]))
		if wide {
			offset, size = le.Uint64(ph[8:]), le.Uint64(ph[32:])
		}
		name := make([]byte, min(size, 4096))
		if _, err := f.ReadAt(name, int64(offset)); err != nil {
			return "", fmt.Errorf("read the name of its interpreter: %w", err)
		}
		return strings.TrimRight(string(name), "\x00"), nil
	}
	return "", nil
}
