package netcfg

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// The ports of DHCPv6 (RFC 8415, section 7.2).
const (
	clientPort6 = 546
	serverPort6 = 547
)

// conn6 sends and hears DHCPv6 on one link, from its link-local address.
type conn6 struct {
	link Link
	fd   int      // of f: sending is for the goroutine that closes
	f    *os.File // UDP socket, in the runtime's poller
}

func listen6(l Link, local netip.Addr) (*conn6, error) {
	fd, err := socket6(l, local, unix.SOCK_DGRAM, 0, clientPort6)
	if err != nil {
		return nil, fmt.Errorf("listen for DHCPv6 on %s: %w", l.Name, err)
	}
	return &conn6{l, fd, os.NewFile(uintptr(fd), "udp6:"+l.Name)}, nil
}

// socket6 opens a socket on a link-local address.
func socket6(l Link, local netip.Addr, kind, protocol, port int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return -1, err
	}
	if port != 0 {
		// Two clients of one link, or another program's, can have the port.
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr6(l, local.As16(), port))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr6(l Link, a [16]byte, port int) *unix.SockaddrInet6 {
	return &unix.SockaddrInet6{Port: port, ZoneId: uint32(l.Index), Addr: a}
}

// read waits for the next message of a server. What is no such message it
// passes over; an error is the socket's.
func (c *conn6) read(buf []byte) (message6, error) {
	for {
		n, err := c.f.Read(buf)
		if errors.Is(err, io.EOF) {
			continue // an empty datagram
		}
		if err != nil {
			return message6{}, err
		}
		m, err := parseMessage6(buf[:n])
		if err == nil && (m.kind == kind6Advertise || m.kind == kind6Reply) {
			return m, nil
		}
	}
}

func (c *conn6) close() { c.f.Close() }

// send sends a message to all servers.
func (c *conn6) send(m message6) error {
	allServers := [16]byte{0: 0xff, 1: 2, 13: 1, 15: 2} // ff02::1:2
	if err := unix.Sendto(c.fd, m.bytes(), 0, sockaddr6(c.link, allServers, serverPort6)); err != nil {
		return fmt.Errorf("send DHCPv6 on %s: %w", c.link.Name, err)
	}
	return nil
}

// solicit asks the routers of a link for advertisements (RFC 4861, section
// 4.1), as the kernel does only when it brings a link up.
func solicit(l Link, local netip.Addr) error {
	fd, err := socket6(l, local, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, 0)
	if err == nil {
		defer unix.Close(fd)
		// A router believes no one who may be on another link.
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255)
	}
	if err == nil {
		// The kernel adds the checksum (RFC 3542, section 3.1).
		allRouters, message := [16]byte{0: 0xff, 1: 2, 15: 2}, [8]byte{133} // ff02::2
		err = unix.Sendto(fd, message[:], 0, sockaddr6(l, allRouters, 0))
	}
	if err != nil {
		return fmt.Errorf("solicit routers on %s: %w", l.Name, err)
	}
	return nil
}
