//go:build linux

package netboot

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenTFTP opens the socket for requests. A port of 0 is TFTP's. With a device
// nothing is received from any other.
func ListenTFTP(ctx context.Context, at netip.AddrPort, device string) (*net.UDPConn, error) {
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), tftpPort)
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
				return fmt.Errorf("IP_PKTINFO: %w", err)
			}
			return bindToDevice(fd, device)
		})
	}}
	c, err := config.ListenPacket(ctx, "udp4", at.String())
	if err != nil {
		return nil, fmt.Errorf("TFTP: %w", err)
	}
	conn := c.(*net.UDPConn)
	// A room full of machines asks in the same second. The kernel gives as much
	// as net.core.rmem_max allows.
	if err := conn.SetReadBuffer(1 << 20); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TFTP: %w", err)
	}
	return conn, nil
}

// control calls f with the descriptor of a socket.
func control(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// bindToDevice keeps a socket to one network device. Since v5.7 of Linux that
// needs no right.
func bindToDevice(fd int, device string) error {
	if device == "" {
		return nil
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	return nil
}

// destination reads where a packet was sent to. A broadcast, to which RFC 1123,
// 4.2.3.5, wants no answer, is not ok: the kernel then says an address of ours
// that is not the one in the packet.
func destination(oob []byte) (to netip.Addr, ok bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return to, false
	}
	for _, m := range messages {
		// struct in_pktinfo: index, local address, address in the header.
		if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12 {
			local, header := netip.AddrFrom4([4]byte(m.Data[4:8])), netip.AddrFrom4([4]byte(m.Data[8:12]))
			return local, local == header
		}
	}
	return to, false
}

// connect opens a socket for one transfer, and says how large a packet may be
// on the way to the client.
func (a arrival) connect() (conn *net.UDPConn, mtu int, err error) {
	dialer := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.to, 0)),
		Control: func(_, _ string, c syscall.RawConn) error {
			return control(c, func(fd int) error { return bindToDevice(fd, a.device) })
		},
	}
	c, err := dialer.Dial("udp4", a.client.String())
	if err != nil {
		return nil, 0, err
	}
	conn = c.(*net.UDPConn)
	raw, err := conn.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) (err error) {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
			return err
		})
	}
	if err != nil {
		conn.Close()
		return nil, 0, err
	}
	return conn, mtu, nil
}
