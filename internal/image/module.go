package image

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// moduleFile is a module as it goes into the image.
type moduleFile struct {
	content  content
	size     int64    // bytes
	signed   bool     // it carries a signature
	firmware []string // the firmware files that it may ask for: "e100/d101m_ucode.bin"
}

// readModule opens a module file of the host, unpacks it if it is compressed,
// and lightens it if it is signed and unsigned is set: no signature, and none of
// the sections of unloaded.
func readModule(name string, unsigned bool) (moduleFile, error) {
	var m moduleFile
	if packedExtension(name) != "" {
		data, err := unpackFile(name)
		if err != nil {
			return m, err
		}
		m.content, m.size = data, int64(len(data))
	} else {
		info, err := os.Stat(name)
		if err != nil {
			return m, err
		}
		m.content, m.size = hostFile(name), info.Size()
	}
	r, closer, err := readerAt(m.content)
	if err != nil {
		return m, err
	}
	defer closer.Close()
	end, err := signatureStart(r, m.size)
	if err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	m.signed = end < m.size
	if m.firmware, err = firmwareNames(io.NewSectionReader(r, 0, end)); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	if m.signed && unsigned {
		changes, err := unloaded(io.NewSectionReader(r, 0, end))
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		m.content, m.size = lighter{m.content, end, changes}, end
	}
	return m, nil
}

// signatureStart returns where the signature of a module of size bytes begins,
// or size if it has none. What follows the module is, by struct
// module_signature (include/linux/module_signature.h, v6.12): the signature,
// 12 bytes that end in its length, big-endian, and a magic line.
func signatureStart(r io.ReaderAt, size int64) (int64, error) {
	const (
		magic      = "~Module signature appended~\n"
		header     = 12
		typeOffset = 2 // of id_type
		typePKCS7  = 2
	)
	tail := make([]byte, header+len(magic))
	start := size - int64(len(tail))
	if start < 0 {
		return size, nil
	}
	if _, err := r.ReadAt(tail, start); err != nil && err != io.EOF {
		return 0, fmt.Errorf("read module signature: %w", err)
	}
	if string(tail[header:]) != magic {
		return size, nil
	}
	length := int64(binary.BigEndian.Uint32(tail[header-4 : header]))
	if tail[typeOffset] != typePKCS7 || length > start {
		return 0, fmt.Errorf("module signature of type %d with %d bytes, in %d bytes: not one that the kernel takes",
			tail[typeOffset], length, size)
	}
	return start - length, nil
}

// firmwareNames returns the firmware= entries of a module's .modinfo section.
func firmwareNames(r io.ReaderAt) ([]string, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("read module: no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read .modinfo: %w", err)
	}
	var names []string
	for field := range strings.SplitSeq(string(info), "\x00") {
		if name, ok := strings.CutPrefix(field, "firmware="); ok {
			names = append(names, name)
		}
	}
	return names, nil
}
