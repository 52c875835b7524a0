//go:build linux

package kmod

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// insert gives the module file to the kernel and returns when its init function has.
func (l *Loader) insert(s step) error {
	file := s.path
	if !path.IsAbs(file) {
		file = l.dir + "/" + file
	}
	flags, err := l.flags(file)
	if err != nil {
		return fmt.Errorf("load %s (%s): %w", s.name, file, err)
	}
	fd, err := openAt(unix.AT_FDCWD, file, 0)
	if err != nil {
		return fmt.Errorf("load %s: open %s: %w", s.name, file, err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return fmt.Errorf("load %s: stat %s: %w", s.name, file, err)
	}
	params := joinParams(l.index.config.paramsOf(s.name), l.params[s.name])
	start := time.Now()
	for {
		// The kernel may be interrupted while it waits for another module of that name.
		if err = unix.FinitModule(fd, params, flags); err != unix.EINTR {
			break
		}
	}
	switch err {
	case nil:
		l.mu.Lock()
		l.loaded = append(l.loaded, Loaded{s.name, stat.Size, start, time.Now()})
		l.mu.Unlock()
		return nil
	case unix.EEXIST:
		return nil
	}
	return fmt.Errorf("load %s (%s): %w%s", s.name, file, err, meaning(err))
}

// flags returns the flags of finit_module(2) for a file of this name. Since Linux 5.17 the kernel can unpack one kind of
// compression, if it was built with CONFIG_MODULE_DECOMPRESS.
func (l *Loader) flags(file string) (int, error) {
	var kind string
	switch path.Ext(file) {
	case ".gz":
		kind = "gzip"
	case ".xz":
		kind = "xz"
	case ".zst":
		kind = "zstd"
	default:
		return 0, nil
	}
	if l.compression() != kind {
		return 0, fmt.Errorf("this kernel does not unpack modules in %s: have them unpacked when the image is built: %w", kind, errors.ErrUnsupported)
	}
	return unix.MODULE_INIT_COMPRESSED_FILE, nil
}

// readCompression returns the kind of compression that the kernel unpacks, "gzip", "xz" or "zstd", or "".
func readCompression(sys string) string {
	data, err := DirFS(sys).ReadFile("module/compression")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// meaning explains what an error of finit_module(2) says about the module. See load_module, kernel/module/main.c (v6.12).
func meaning(err error) string {
	switch err {
	case unix.ENOENT:
		return ": a symbol that it needs is missing, the kernel log names it"
	case unix.ENOEXEC:
		return ": built for another kernel, or damaged"
	case unix.EKEYREJECTED, unix.ENOKEY, unix.EBADMSG, unix.ENOPKG:
		return ": the kernel wants a signature that it trusts"
	case unix.ENODEV:
		return ": it finds no hardware of its own"
	case unix.EPERM:
		return ": forbidden by module_blacklist=, kernel lockdown or modules_disabled"
	case unix.EINVAL:
		return ": wrong value of a parameter, or damaged"
	case unix.ENOSYS:
		return ": the kernel takes no modules"
	}
	return ""
}
