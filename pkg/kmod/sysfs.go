//go:build linux

package kmod

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// scanner lists the devices of some directories of sysfs, each device once, however often it is asked.
type scanner struct {
	dirs []deviceDir
	buf  [4096]byte // sysfs gives at most a page
}

// deviceDir holds links to devices: /sys/bus/pci/devices or /sys/class/input.
type deviceDir struct {
	path string
	fd   int // or notOpen, broken
	seen map[string]bool
}

const (
	notOpen = -1 // the directory may not exist yet: a module registers its bus
	broken  = -2 // it cannot be read
)

func newScanner(paths []string) *scanner {
	s := new(scanner)
	for _, path := range paths {
		s.dirs = append(s.dirs, deviceDir{path: path, fd: notOpen, seen: make(map[string]bool)})
	}
	return s
}

func (s *scanner) close() {
	for _, d := range s.dirs {
		d.close()
	}
}

func (d *deviceDir) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
	}
}

// scan calls visit for each device that has not been seen before. Directories that do not exist are empty; the error
// names those that cannot be read, once.
func (s *scanner) scan(visit func(dir *deviceDir, device string)) error {
	var errs []error
	for i := range s.dirs {
		d := &s.dirs[i]
		if d.fd == broken {
			continue
		}
		devices, err := s.list(d)
		if err != nil {
			errs = append(errs, fmt.Errorf("list %s: %w", d.path, err))
			d.close()
			d.fd = broken
		}
		for _, device := range devices {
			if !d.seen[device] {
				d.seen[device] = true
				visit(d, device)
			}
		}
	}
	return errors.Join(errs...)
}

// list returns the names in d. It opens d the first time, and rewinds it later.
func (s *scanner) list(d *deviceDir) (names []string, err error) {
	if d.fd == notOpen {
		d.fd, err = openAt(unix.AT_FDCWD, d.path, unix.O_DIRECTORY)
		if err == unix.ENOENT {
			return nil, nil
		}
	} else {
		_, err = unix.Seek(d.fd, 0, unix.SEEK_SET)
	}
	for err == nil {
		var n int
		if n, err = unix.ReadDirent(d.fd, s.buf[:]); n <= 0 || err != nil {
			break
		}
		_, _, names = unix.ParseDirent(s.buf[:n], -1, names)
	}
	return names, err
}

// modalias returns the modalias of a device, or "". Most buses have an attribute of that name; of the others (mmc,
// auxiliary, mhi, typec) only the uevent tells.
func (s *scanner) modalias(d *deviceDir, device string) string {
	if text, ok := s.attribute(d, device+"/modalias"); ok {
		return strings.TrimSpace(text)
	}
	return s.uevent(d, device, "MODALIAS")
}

// uevent returns the value of a variable of the device's uevent, or "".
func (s *scanner) uevent(d *deviceDir, device, name string) string {
	text, _ := s.attribute(d, device+"/uevent")
	for line := range strings.Lines(text) {
		if key, value, _ := strings.Cut(line, "="); key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (s *scanner) attribute(d *deviceDir, name string) (text string, ok bool) {
	fd, err := openAt(d.fd, name, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	n, err := read(fd, s.buf[:])
	return string(s.buf[:max(n, 0)]), err == nil
}
