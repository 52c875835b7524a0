package netcfg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// conn sends and hears DHCP on one link, which needs no address.
type conn struct {
	link Link
	f    *os.File // packet socket, in the runtime's poller
}

// dhcpFilter passes IPv4, UDP, no fragment but the first, to the client's port:
// no other packet wakes the process.
func dhcpFilter() []unix.SockFilter {
	const (
		ldb  = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		ldh  = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		ldhx = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
		ldx  = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jset = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		{Code: ldh, K: 12},
		{Code: jeq, K: etherIPv4, Jf: 8},
		{Code: ldb, K: etherLen + 9},
		{Code: jeq, K: protocolUDP, Jf: 6},
		{Code: ldh, K: etherLen + 6},
		{Code: jset, K: 0x1fff, Jt: 4},
		{Code: ldx, K: etherLen},
		{Code: ldhx, K: etherLen + 2},
		{Code: jeq, K: clientPort, Jf: 1},
		{Code: ret, K: 1 << 16},
		{Code: ret, K: 0},
	}
}

func listen(l Link) (*conn, error) {
	f, err := packetSocket(l, unix.ETH_P_IP, dhcpFilter())
	if err != nil {
		return nil, fmt.Errorf("listen for DHCP on %s: %w", l.Name, err)
	}
	return &conn{l, f}, nil
}

// packetSocket opens a packet(7) socket for whole frames of one protocol, in
// the runtime's poller. Frames that the filter drops wake nobody.
func packetSocket(l Link, protocol uint16, filter []unix.SockFilter) (*os.File, error) {
	// Protocol 0 hears nothing before the filter is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if len(filter) > 0 {
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	// sll_protocol is in network order.
	order := [2]byte{}
	binary.BigEndian.PutUint16(order[:], protocol)
	addr := &unix.SockaddrLinklayer{Protocol: *(*uint16)(unsafe.Pointer(&order)), Ifindex: l.Index}
	if err := unix.Bind(fd, addr); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "packet:"+l.Name), nil
}

// read waits for the next message of a server. What is no such message it
// passes over; an error is the socket's.
func (c *conn) read(buf []byte) (Message, error) {
	for {
		n, err := c.f.Read(buf)
		if err != nil {
			return Message{}, err
		}
		payload, ok := dhcpPayload(buf[:n])
		if !ok {
			continue
		}
		if m, err := ParseMessage(payload); err == nil && m.Reply {
			return m, nil
		}
	}
}

func (c *conn) close() { c.f.Close() }

// send sends a message: from its client address to one server, which the kernel
// routes, or by broadcast; also when the kernel knows no way.
func (c *conn) send(p packet) error {
	if p.to.IsValid() && c.unicast(p) == nil {
		return nil
	}
	if _, err := c.f.Write(broadcastFrame(c.link.HW, p.Client, p.Bytes())); err != nil {
		return fmt.Errorf("send DHCP on %s: %w", c.link.Name, err)
	}
	return nil
}

func (c *conn) unicast(p packet) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.BindToDevice(fd, c.link.Name); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(p.Client, clientPort)); err != nil {
		return err
	}
	return retry(func() error { return unix.Sendto(fd, p.Bytes(), 0, sockaddr(p.to, serverPort)) })
}

func sockaddr(a netip.Addr, port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: a.As4()}
}

// retry repeats a system call that a signal has interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
