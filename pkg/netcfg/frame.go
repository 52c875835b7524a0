package netcfg

import (
	"encoding/binary"
	"net/netip"
)

// The ports of DHCP, and what surrounds its messages.
const (
	serverPort  = 67
	clientPort  = 68
	etherLen    = 14
	ipLen       = 20
	udpLen      = 8
	etherIPv4   = 0x0800
	protocolUDP = 17
	dscpCS6     = 0xc0 // as dhclient and udhcpc send it
)

// broadcastFrame returns the Ethernet frame that carries a client's message
// from 0.0.0.0 to 255.255.255.255, or from an address that it has.
func broadcastFrame(hw MAC, from netip.Addr, message []byte) []byte {
	b := make([]byte, etherLen+ipLen+udpLen, etherLen+ipLen+udpLen+len(message))
	copy(b, "\xff\xff\xff\xff\xff\xff")
	copy(b[6:], hw[:])
	binary.BigEndian.PutUint16(b[12:], etherIPv4)

	ip := b[etherLen:]
	ip[0], ip[1] = 0x45, dscpCS6
	binary.BigEndian.PutUint16(ip[2:], uint16(ipLen+udpLen+len(message)))
	ip[8], ip[9] = 64, protocolUDP
	if from.Is4() {
		a := from.As4()
		copy(ip[12:16], a[:])
	}
	copy(ip[16:20], "\xff\xff\xff\xff")
	binary.BigEndian.PutUint16(ip[10:], ^sum16(0, ip[:ipLen]))

	udp := ip[ipLen:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+len(message)))
	s := sum16(uint32(protocolUDP+udpLen+len(message)), ip[12:20])
	s = sum16(uint32(s), udp[:6])
	if s = ^sum16(uint32(s), message); s == 0 {
		s = 0xffff // RFC 768: zero means no checksum
	}
	binary.BigEndian.PutUint16(udp[6:], s)
	return append(b, message...)
}

// dhcpPayload returns what a frame carries to the client's port. It checks no
// UDP checksum: on virtual links the sender has left it to hardware that is
// not there.
func dhcpPayload(frame []byte) ([]byte, bool) {
	if len(frame) < etherLen+ipLen || binary.BigEndian.Uint16(frame[12:]) != etherIPv4 {
		return nil, false
	}
	ip := frame[etherLen:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	fragment := binary.BigEndian.Uint16(ip[6:]) & 0x3fff
	if ip[0]>>4 != 4 || header < ipLen || total < header+udpLen || total > len(ip) ||
		ip[9] != protocolUDP || fragment != 0 {
		return nil, false
	}
	udp := ip[header:total]
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp) != serverPort || binary.BigEndian.Uint16(udp[2:]) != clientPort ||
		n < udpLen || n > len(udp) {
		return nil, false
	}
	return udp[udpLen:n], true
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
