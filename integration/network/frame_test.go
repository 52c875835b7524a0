//go:build linux

package network

import (
	"encoding/binary"
	"net/netip"
)

// hw is an Ethernet address.
type hw [6]byte

// everyone is Ethernet's broadcast address.
var everyone = hw{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100

	protocolUDP = 17

	portEcho   = 7
	portServer = 67
	portClient = 68
)

// ether is an Ethernet frame; a vlan other than 0 tags it.
func ether(dst, src hw, vlan, kind uint16, payload []byte) []byte {
	b := append(dst[:], src[:]...)
	if vlan != 0 {
		b = binary.BigEndian.AppendUint16(b, typeVLAN)
		b = binary.BigEndian.AppendUint16(b, vlan)
	}
	return append(binary.BigEndian.AppendUint16(b, kind), payload...)
}

// ipv4 is an IPv4 packet with UDP in it.
func ipv4(src, dst netip.AddrPort, payload []byte) []byte {
	from, to := src.Addr().As4(), dst.Addr().As4()
	udp := binary.BigEndian.AppendUint16(nil, src.Port())
	udp = binary.BigEndian.AppendUint16(udp, dst.Port())
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(payload)))
	udp = append(append(udp, 0, 0), payload...) // RFC 768: no checksum

	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocolUDP, 0, 0}
	ip = append(append(ip, from[:]...), to[:]...)
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(udp)))
	seal(ip)
	return append(ip, udp...)
}

// seal writes an IPv4 header's checksum (RFC 791).
func seal(header []byte) {
	binary.BigEndian.PutUint16(header[10:], 0)
	sum := uint32(0)
	for i := 0; i+1 < len(header); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(header[10:], ^uint16(sum))
}

// datagram is what a frame of a guest, which makes no wrong ones, has in UDP.
type datagram struct {
	src, dst netip.AddrPort
	payload  []byte
}

func readDatagram(packet []byte) (datagram, bool) {
	if len(packet) < 28 || packet[0] != 0x45 || packet[9] != protocolUDP {
		return datagram{}, false
	}
	udp := packet[20:binary.BigEndian.Uint16(packet[2:])]
	address := func(ip, port []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip)), binary.BigEndian.Uint16(port))
	}
	return datagram{address(packet[12:], udp), address(packet[16:], udp[2:]), udp[8:]}, true
}
