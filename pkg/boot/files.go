//go:build linux

package boot

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"rambox/pkg/kmod"
)

// readFile reads a file, given by its absolute path, without the poller: see
// kmod.DirFS.
func readFile(name string) ([]byte, error) { return kmod.DirFS("").ReadFile(name[1:]) }

// list returns the names in a directory, sorted; none if it cannot be read.
func list(dir string) []string {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	names, _ := readNames(fd) // what was read before an error is there
	slices.Sort(names)
	return names
}

// readNames lists the directory that dir has been opened for.
func readNames(dir int) (names []string, err error) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.ReadDirent(dir, buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return names, os.NewSyscallError("getdents", err)
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
