//go:build unix

package image

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostNumbers returns the owner and the device numbers of a host file.
func hostNumbers(info fs.FileInfo) (uid, gid, major, minor uint32) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0, 0
	}
	dev := uint64(st.Rdev)
	return st.Uid, st.Gid, unix.Major(dev), unix.Minor(dev)
}
