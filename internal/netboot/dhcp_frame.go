package netboot

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// The layout of what is around a message, in bytes.
const (
	etherLen    = 14
	ipLen       = 20
	udpLen      = 8
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherIPv6   = 0x86dd
	protocolUDP = 17
)

// udpFrame returns the Ethernet frame that carries a message between addresses
// that need not exist.
func udpFrame(hw, toHW net.HardwareAddr, from, to netip.AddrPort, message []byte) []byte {
	b := make([]byte, etherLen+ipLen+udpLen, etherLen+ipLen+udpLen+len(message))
	copy(b, toHW)
	copy(b[6:], hw)
	binary.BigEndian.PutUint16(b[12:], etherIPv4)

	ip := b[etherLen:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(ipLen+udpLen+len(message)))
	ip[8], ip[9] = 64, protocolUDP
	source, target := from.Addr().As4(), to.Addr().As4()
	copy(ip[12:], source[:])
	copy(ip[16:], target[:])
	binary.BigEndian.PutUint16(ip[10:], ^sum16(0, ip[:ipLen]))

	udp := ip[ipLen:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+len(message)))
	s := sum16(uint32(protocolUDP+udpLen+len(message)), ip[12:20])
	s = sum16(uint32(s), udp[:6])
	if s = ^sum16(uint32(s), message); s == 0 {
		s = 0xffff // RFC 768: zero means no checksum
	}
	binary.BigEndian.PutUint16(udp[6:], s)
	return append(b, message...)
}

// otherServer returns the server that has sent a frame with a DHCP reply. The
// filter of its socket has looked at the headers.
func otherServer(frame []byte) (netip.Addr, bool) {
	if len(frame) < etherLen+ipLen {
		return netip.Addr{}, false
	}
	udp := etherLen + int(frame[etherLen]&15)*4
	var m dhcpMessage
	if len(frame) < udp+udpLen || m.parseAs(opReply, frame[udp+udpLen:]) != nil {
		return netip.Addr{}, false
	}
	id := m.addrOption(optServerID)
	return id, id.IsValid()
}

// arpRequest returns the frame that asks who has an address (RFC 826).
func arpRequest(hw net.HardwareAddr, from, whose netip.Addr) []byte {
	b := make([]byte, etherLen, etherLen+28)
	copy(b, "\xff\xff\xff\xff\xff\xff")
	copy(b[6:], hw)
	binary.BigEndian.PutUint16(b[12:], etherARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
	b = append(append(b, hw...), from.AsSlice()...)
	return append(append(b, 0, 0, 0, 0, 0, 0), whose.AsSlice()...)
}

// arpSender returns who says in a frame that it has an address.
func arpSender(frame []byte) (a netip.Addr, hw net.HardwareAddr, ok bool) {
	if len(frame) < etherLen+28 || binary.BigEndian.Uint16(frame[12:]) != etherARP ||
		string(frame[etherLen:etherLen+6]) != "\x00\x01\x08\x00\x06\x04" {
		return netip.Addr{}, nil, false
	}
	p := frame[etherLen:]
	return addr4(p[14:]), net.HardwareAddr(p[8:14]), true
}

// probeDiscover is a DISCOVER that shows which other servers there are. They
// answer by broadcast, and keep an address for a moment.
func probeDiscover(hw net.HardwareAddr, xid uint32) []byte {
	b := make([]byte, headerLen, minMessage)
	b[0], b[1], b[2] = opRequest, 1, 6
	binary.BigEndian.PutUint32(b[4:], xid)
	b[offsetFlags] = flagBroadcast >> 8
	copy(b[offsetHW:], hw)
	copy(b[offsetMagic:], magic)
	b = append(b, optType, 1, 1, optParameters, 1, optMask, optEnd)
	return b[:minMessage]
}

// sum16 adds b to a sum in one's complement (RFC 1071).
func sum16(s uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
