//go:build linux

package qemu

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// HoldPorts makes sure that QEMU can listen where n's forwards say, because QEMU would not say why it cannot, and chooses a
// free port for each port 0. Until release is called nobody else is given the TCP ports.
func (n *Network) HoldPorts() (release func(), err error) {
	var held []int
	release = func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}
	for i := range n.Forwards {
		f := &n.Forwards[i]
		fd, err := f.bind()
		if err != nil {
			release()
			return nil, fmt.Errorf("listen on %s %s: %w", f.Proto, f.Host, err)
		}
		if f.Proto == "udp" {
			unix.Close(fd) // QEMU's bind would fail beside it
			continue
		}
		held = append(held, fd)
	}
	return release, nil
}

// bind binds a socket to f's port and notes which one that is. QEMU can bind a TCP port and listen beside it, because both
// sockets have SO_REUSEADDR and this one does not listen (inet_csk_bind_conflict, net/ipv4/inet_connection_sock.c).
func (f *Forward) bind() (fd int, err error) {
	kind := unix.SOCK_DGRAM
	if f.Proto == "tcp" {
		kind = unix.SOCK_STREAM
	}
	if fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if f.Proto == "tcp" {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return -1, err
		}
	}
	addr := unix.SockaddrInet4{Port: int(f.Host.Port()), Addr: f.Host.Addr().As4()}
	if err = unix.Bind(fd, &addr); err != nil {
		return -1, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, err
	}
	if bound, ok := name.(*unix.SockaddrInet4); ok {
		f.Host = netip.AddrPortFrom(f.Host.Addr(), uint16(bound.Port))
	}
	return fd, nil
}
