package netcfg

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// The address conflict detection of a client (RFC 2131, section 3.1.5, and RFC
// 5227), for those who ask for it: it takes time at every boot. RFC 5227 would
// have three probes and up to nine seconds.
const (
	probes      = 2
	declineWait = 10 * time.Second // before the client begins again
)

// beginProbe asks for the first time who has the address of a lease.
func (c *client) beginProbe(now time.Time, lease Config) step {
	c.state, c.tries, c.granted = stateProbing, 0, lease
	return c.probed(now)
}

// probed asks once more, or takes the lease when nobody has answered.
func (c *client) probed(now time.Time) step {
	if c.tries >= probes {
		return c.accept(now, c.granted)
	}
	c.tries++
	c.timer = now.Add(c.probe / probes)
	return step{probe: c.granted.Addr.Addr()}
}

// claimed tells that another machine has the address that is being probed. The
// client declines it.
func (c *client) claimed(now time.Time, by MAC) step {
	if c.state != stateProbing {
		return step{}
	}
	addr := c.granted.Addr.Addr().As4()
	m := Message{
		XID: c.random(), HW: c.hw,
		Options: map[byte][]byte{optType: {byte(Decline)}, optRequested: addr[:], optClientID: c.id},
	}
	if c.granted.Server.IsValid() {
		id := c.granted.Server.As4()
		m.Options[optServerID] = id[:]
	}
	c.want = netip.Addr{}
	c.state, c.timer = stateBackoff, now.Add(declineWait)
	return step{send: []packet{{Message: m}}, note: "declined " + c.granted.Addr.String() + ": " + by.String() + " has it"}
}

// The layout of an ARP packet for IPv4 on Ethernet (RFC 826), in bytes.
const (
	etherARP = 0x0806
	arpLen   = 28
)

// arpProbe returns the frame that asks who has an address, from nobody (RFC
// 5227, section 2.1.1).
func arpProbe(hw MAC, addr netip.Addr) []byte {
	b := make([]byte, etherLen+arpLen)
	copy(b, "\xff\xff\xff\xff\xff\xff")
	copy(b[6:], hw[:])
	binary.BigEndian.PutUint16(b[12:], etherARP)
	arp := b[etherLen:]
	copy(arp, "\x00\x01\x08\x00\x06\x04\x00\x01") // Ethernet, IPv4, their lengths, request
	copy(arp[8:], hw[:])
	a := addr.As4()
	copy(arp[24:], a[:])
	return b
}

// arpClaim reports whether a frame shows that another machine has an address,
// or is about to take it: it speaks as the address, or probes for it too.
func arpClaim(frame []byte, own MAC, addr netip.Addr) (by MAC, claimed bool) {
	if len(frame) < etherLen+arpLen || binary.BigEndian.Uint16(frame[12:]) != etherARP ||
		string(frame[etherLen:etherLen+6]) != "\x00\x01\x08\x00\x06\x04" {
		return MAC{}, false
	}
	arp := frame[etherLen:]
	by = MAC(arp[8:14])
	sender, target := netip.AddrFrom4([4]byte(arp[14:18])), netip.AddrFrom4([4]byte(arp[24:28]))
	probe := arp[7] == 1 && sender.IsUnspecified() && target == addr
	return by, by != own && (sender == addr || probe)
}
