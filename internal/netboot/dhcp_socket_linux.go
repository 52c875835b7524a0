package netboot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBuffer is what the kernel keeps for a socket while the server is busy
// or the disk is slow: some thousand requests.
const receiveBuffer = 8 << 20

// findLink reads an interface and its addresses.
func findLink(name string) (*Link, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	addrs, err := i.Addrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", name, err)
	}
	l := &Link{Name: name, Index: i.Index, HW: i.HardwareAddr}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			l.Addrs = append(l.Addrs, p)
		}
	}
	if len(l.Addrs) == 0 {
		return nil, fmt.Errorf("interface %s: has no IPv4 address, from which to answer: give it one", name)
	}
	return l, nil
}

// listenUDP opens a port of one link. Shared says that another server on this
// machine may have it open too, as beside a proxy.
func listenUDP(link *Link, port uint16, shared bool) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			set := func(level, name, value int) {
				if failed == nil {
					failed = unix.SetsockoptInt(int(fd), level, name, value)
				}
			}
			failed = unix.BindToDevice(int(fd), link.Name)
			set(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
			if shared {
				set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			}
			// As much as the kernel allows, where it does not allow this.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
				set(unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
			}
		})
		return errors.Join(err, failed)
	}}
	conn, err := config.ListenPacket(context.Background(), "udp4", fmt.Sprintf(":%d", port))
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("port %d on %s: another server of this machine has it: stop that one: %w", port, link.Name, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("port %d on %s: needs root or the capability CAP_NET_BIND_SERVICE: %w", port, link.Name, err)
	case err != nil:
		return nil, fmt.Errorf("port %d on %s: %w", port, link.Name, err)
	}
	return conn.(*net.UDPConn), nil
}

// listenPacket opens a packet(7) socket for whole frames on a link. It hears
// what the filter passes; without one it only sends.
func listenPacket(link *Link, protocol uint16, filter []unix.SockFilter) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket on %s: needs root or the capability CAP_NET_RAW: %w", link.Name, err)
	}
	addr := &unix.SockaddrLinklayer{Ifindex: link.Index}
	if len(filter) > 0 {
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
		addr.Protocol = bigEndian16(protocol)
	}
	if err == nil {
		err = unix.Bind(fd, addr)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet socket on %s: %w", link.Name, err)
	}
	return os.NewFile(uintptr(fd), "packet:"+link.Name), nil
}

// bigEndian16 is a number whose bytes in memory are in network order.
func bigEndian16(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return *(*uint16)(unsafe.Pointer(&b))
}

// Filters of packet sockets (classic BPF): DHCP replies to clients, and answers
// of ARP.
func replyFilter() []unix.SockFilter {
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
		{Code: jeq, K: etherIPv4, Jf: 10},
		{Code: ldb, K: etherLen + 9},
		{Code: jeq, K: protocolUDP, Jf: 8},
		{Code: ldh, K: etherLen + 6},
		{Code: jset, K: 0x1fff, Jt: 6},
		{Code: ldx, K: etherLen},
		{Code: ldhx, K: etherLen},
		{Code: jeq, K: dhcpServerPort, Jf: 3},
		{Code: ldhx, K: etherLen + 2},
		{Code: jeq, K: dhcpClientPort, Jf: 1},
		{Code: ret, K: 1 << 16},
		{Code: ret, K: 0},
	}
}

func arpFilter() []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: etherLen + 6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 2, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

// mmsghdr is of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

// batchLen is how many packets one system call moves.
const batchLen = 64

// reader takes requests from a port, as many as there are at a time.
type reader struct {
	raw     syscall.RawConn
	headers [batchLen]mmsghdr
	vectors [batchLen]unix.Iovec
	names   [batchLen]unix.RawSockaddrInet4
	control [batchLen][64]byte
	buffers [batchLen][maxMessage + 1]byte // one more shows what is too long
}

func newReader(conn *net.UDPConn) (*reader, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &reader{raw: raw}
	for i := range r.headers {
		r.vectors[i].Base = &r.buffers[i][0]
		r.vectors[i].SetLen(len(r.buffers[i]))
		h := &r.headers[i]
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&r.names[i])), &r.vectors[i], &r.control[i][0]
		h.SetIovlen(1)
	}
	return r, nil
}

// read waits for requests and returns how many there are.
func (r *reader) read() (int, error) {
	for i := range r.headers {
		h := &r.headers[i]
		h.Namelen = unix.SizeofSockaddrInet4
		h.SetControllen(len(r.control[i]))
	}
	var n uintptr
	var errno syscall.Errno
	err := r.raw.Read(func(fd uintptr) bool {
		for {
			n, _, errno = unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.headers[0])), batchLen, unix.MSG_DONTWAIT, 0, 0)
			if errno != unix.EINTR {
				return errno != unix.EAGAIN
			}
		}
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return 0, err
	}
	return int(n), nil
}

// packet returns a request, until the next read, and where it is from.
func (r *reader) packet(i int) (packet []byte, from netip.AddrPort, to netip.Addr) {
	name := &r.names[i]
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	from = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), binary.BigEndian.Uint16(port[:]))
	control := r.control[i][:r.headers[i].Controllen]
	if len(control) >= unix.CmsgLen(unix.SizeofInet4Pktinfo) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		if h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO {
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&control[unix.CmsgLen(0)]))
			// For a broadcast the two differ: ip(7).
			if info.Spec_dst == info.Addr {
				to = netip.AddrFrom4(info.Addr)
			}
		}
	}
	return r.buffers[i][:r.headers[i].n], from, to
}
