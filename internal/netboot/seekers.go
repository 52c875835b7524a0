package netboot

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"
)

// iPXE waits for IPv6 as well as for DHCP: on a link without an IPv6 router it
// looks for one for 16 s after it has got its address, and loads nothing before
// (net/ndp.c and usr/ifmgmt.c of iPXE; seen with Debian's of 2019). An
// advertisement that offers nothing ends that.

const (
	// A router answers within half a second (RFC 4861, section 6.2.6,
	// MAX_RA_DELAY_TIME). iPXE's third solicitation comes after three quarters
	// of one: who sends it has got no answer.
	seekerPatience = 3

	seekerTime = 30 * time.Second // from iPXE's DISCOVER on: longer than it looks
	maxSeekers = 4096             // at a time
)

// seekers are the machines in which iPXE looks for a router. The zero value is
// none, and it is safe for concurrent use.
type seekers struct {
	mu    sync.Mutex
	byMAC map[string]*seeker
}

type seeker struct {
	since time.Time // of its DISCOVER
	asked int
}

// seen takes note of a machine that asks DHCP.
func (s *seekers) seen(now time.Time, c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.IPXE || len(c.MAC) != 6 {
		delete(s.byMAC, string(c.MAC))
		return
	}
	if s.byMAC == nil || len(s.byMAC) >= maxSeekers {
		s.byMAC = map[string]*seeker{}
	}
	if k := s.byMAC[string(c.MAC)]; k == nil || now.Sub(k.since) > seekerTime {
		s.byMAC[string(c.MAC)] = &seeker{since: now}
	}
}

// ask counts a solicitation, and tells whether to answer it: of iPXE, and only
// where nobody else does.
func (s *seekers) ask(now time.Time, hw net.HardwareAddr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.byMAC[string(hw)]
	if k == nil || now.Sub(k.since) > seekerTime {
		return false
	}
	k.asked++
	return k.asked >= seekerPatience
}

// The layout of a router solicitation and advertisement (RFC 4861, sections 4.1
// and 4.2), in bytes.
const (
	ip6Len        = 40
	protocolICMP6 = 58
	solicitation  = 133
	advertisement = 134
	advertLen     = 16
	solicitLen    = 8
	ndpHops       = 255 // section 6.1: nothing from behind a router counts
)

// allRouters is where machines look for routers: ff02::2 on Ethernet (RFC 2464,
// section 7).
func allRouters() net.HardwareAddr { return net.HardwareAddr{0x33, 0x33, 0, 0, 0, 2} }

// solicitor returns who looks for a router in a frame.
func solicitor(frame []byte) (hw net.HardwareAddr, from netip.Addr, ok bool) {
	const ip = etherLen
	if len(frame) < ip+ip6Len+solicitLen || binary.BigEndian.Uint16(frame[12:]) != etherIPv6 || frame[ip]>>4 != 6 ||
		frame[ip+6] != protocolICMP6 || frame[ip+7] != ndpHops || frame[ip+ip6Len] != solicitation || frame[ip+ip6Len+1] != 0 {
		return nil, from, false
	}
	from = netip.AddrFrom16([16]byte(frame[ip+8 : ip+24]))
	return net.HardwareAddr(frame[6:12]), from, from.IsLinkLocalUnicast()
}

// emptyAdvert is the frame of a router advertisement for one machine, by which
// the sender is no router (a lifetime of 0) and nothing else is said.
func emptyAdvert(hw, toHW net.HardwareAddr, from, to netip.Addr) []byte {
	b := make([]byte, etherLen+ip6Len+advertLen)
	copy(b, toHW)
	copy(b[6:], hw)
	binary.BigEndian.PutUint16(b[12:], etherIPv6)
	ip := b[etherLen:]
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], advertLen)
	ip[6], ip[7] = protocolICMP6, ndpHops
	source, target := from.As16(), to.As16()
	copy(ip[8:], source[:])
	copy(ip[24:], target[:])
	icmp := ip[ip6Len:]
	icmp[0] = advertisement
	// RFC 8200, section 8.1: the addresses, the length and the protocol count.
	s := sum16(advertLen+protocolICMP6, ip[8:ip6Len])
	binary.BigEndian.PutUint16(icmp[2:], ^sum16(uint32(s), icmp))
	return b
}
