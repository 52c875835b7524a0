package netboot

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writer sends packets on a socket, many with a system call.
type writer struct {
	raw     syscall.RawConn
	headers [batchLen]mmsghdr
	vectors [batchLen]unix.Iovec
	names   [batchLen]unix.RawSockaddrInet4
	n       int
	lost    func(error) // of one packet
}

// add puts a packet into the batch, which must not change until it is sent. An
// invalid address is for sockets that need none.
func (w *writer) add(packet []byte, to netip.AddrPort) {
	if w.n == batchLen {
		w.flush()
	}
	h := &w.headers[w.n]
	*h = mmsghdr{}
	if to.IsValid() {
		name := &w.names[w.n]
		*name = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(name)), unix.SizeofSockaddrInet4
	}
	w.vectors[w.n].Base = &packet[0]
	w.vectors[w.n].SetLen(len(packet))
	h.Iov = &w.vectors[w.n]
	h.SetIovlen(1)
	w.n++
}

// flush sends what was added. A packet that the kernel does not take, as where
// there is no route, is lost, and the others go on.
func (w *writer) flush() {
	for sent := 0; sent < w.n; {
		var n uintptr
		var errno syscall.Errno
		err := w.raw.Write(func(fd uintptr) bool {
			for {
				n, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.headers[sent])), uintptr(w.n-sent), unix.MSG_DONTWAIT, 0, 0)
				if errno != unix.EINTR {
					return errno != unix.EAGAIN
				}
			}
		})
		switch {
		case err != nil: // closed
			w.lost(err)
			sent = w.n
		case errno != 0:
			w.lost(errno)
			sent++
		default:
			sent += int(n)
		}
	}
	clear(w.headers[:w.n])
	clear(w.vectors[:w.n])
	w.n = 0
}
