package netboot

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// seekerFilter passes router solicitations.
func seekerFilter() []unix.SockFilter {
	const (
		ldb = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		jeq = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		{Code: ldb, K: etherLen + 6},
		{Code: jeq, K: protocolICMP6, Jf: 3},
		{Code: ldb, K: etherLen + ip6Len},
		{Code: jeq, K: solicitation, Jf: 1},
		{Code: ret, K: 1 << 16},
		{Code: ret, K: 0},
	}
}

// hearMulticast has a card pass on what goes to a group. Hardware that has no
// groups passes on all or nothing.
func hearMulticast(socket *os.File, link *Link, group net.HardwareAddr) error {
	if len(link.HW) != len(group) {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	m := unix.PacketMreq{Ifindex: int32(link.Index), Type: unix.PACKET_MR_MULTICAST, Alen: uint16(len(group))}
	copy(m.Address[:], group)
	err = control(raw, func(fd int) error {
		return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m)
	})
	if err != nil {
		return fmt.Errorf("packet socket on %s: group %s: %w", link.Name, group, err)
	}
	return nil
}

// hearSeekers ends the wait of iPXE for a router where there is none. Where this
// machine has no IPv6 it says nothing.
func (s *DHCPServer) hearSeekers(l *dhcpLink) error {
	buf := make([]byte, frameLength)
	for {
		n, err := l.routers.Read(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue // said once, when the link goes down
		}
		if err != nil {
			return err
		}
		hw, from, ok := solicitor(buf[:n])
		if !ok || !l.seekers.ask(time.Now(), hw) {
			continue
		}
		own, ok := linkLocal(l.name)
		if !ok {
			continue
		}
		if _, err := l.raw.Write(emptyAdvert(l.hw, hw, own, from)); err != nil {
			s.counters.Lost.Add(1)
		}
	}
}

// linkLocal is the address of an interface that routers advertise from.
func linkLocal(name string) (netip.Addr, bool) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, false
	}
	addrs, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}
