package netboot

import (
	"net"
	"net/netip"
	"slices"
)

// The ports of DHCP (RFC 2131) and of PXE's boot servers.
const (
	dhcpServerPort = 67
	dhcpClientPort = 68
	pxePort        = 4011
)

// Link is a network interface that the server answers on.
type Link struct {
	Name  string
	Index int
	HW    net.HardwareAddr
	Addrs []netip.Prefix // IPv4, the primary one first
}

// Source is where a request has come from.
type Source struct {
	Link *Link
	From netip.AddrPort
	To   netip.Addr // the server's address that it was sent to; zero: by broadcast
	Port uint16     // of the server: 67 or 4011
}

// Answer is what follows from a request. The zero value is silence.
type Answer struct {
	Packet []byte // the payload of UDP; nil: send nothing
	To     Destination

	// Leases must be in the store before the packet goes.
	Leases []Lease

	// Probe, if valid, is an address that the packet offers and that nobody has
	// had yet. Ask whether somebody uses it first, and if so tell
	// [Responder.Conflict] and not the client.
	Probe netip.Addr

	Events []Event
}

// Destination is where an answer goes.
type Destination struct {
	Addr netip.AddrPort

	// HW is the hardware to send to, without asking by ARP for an address that
	// the client does not have yet; nil: as the kernel routes it. For a
	// broadcast it is that of Ethernet.
	HW net.HardwareAddr
}

// EventKind says what an event tells.
type EventKind uint8

// The kinds of events.
const (
	EventSeen        EventKind = iota // a machine asks to boot or for an address
	EventOffered                      // Addr
	EventLeased                       // Addr; sent when it is on the disk
	EventReleased                     // Addr
	EventDeclined                     // Addr, which the client found in use
	EventConflict                     // Addr is in use by somebody whom the server does not know
	EventBoot                         // Text is the file that the client is told to load
	EventNak                          // Addr is refused, Text says why
	EventRefused                      // a client that the configuration does not answer
	EventNoAddress                    // the pools are empty
	EventOtherServer                  // Addr is another DHCP server of the link
	EventLimited                      // a client asks too often
	EventStore                        // Text says what the store could not do
)

// Event is something that the server's log or its user may want to know.
type Event struct {
	Kind   EventKind
	Client *Client // nil where there is none
	Link   string
	Addr   netip.Addr
	Text   string
}

// String names the kind in a word: "leased".
func (k EventKind) String() string {
	names := [...]string{
		"seen", "offered", "leased", "released", "declined", "conflict", "boot", "nak", "refused", "no address",
		"other server", "limited", "store",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// etherBroadcast returns the hardware address of everybody.
func etherBroadcast() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// everybody is where those hear who have no address.
func everybody() Destination {
	return Destination{netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), dhcpClientPort), etherBroadcast()}
}

// destination is where a reply goes (RFC 2131, section 4.1). A NAK goes to
// everybody, since its client has an address that is not to be used.
func (m *dhcpMessage) destination(your netip.Addr, nak bool) Destination {
	switch {
	case m.relay().IsValid():
		return Destination{Addr: netip.AddrPortFrom(m.relay(), dhcpServerPort)}
	case nak:
		return everybody()
	case m.client().IsValid():
		return Destination{Addr: netip.AddrPortFrom(m.client(), dhcpClientPort)}
	case m.broadcast() || !your.IsValid() || len(m.hw) != 6:
		return everybody()
	}
	return Destination{netip.AddrPortFrom(your, dhcpClientPort), slices.Clone(net.HardwareAddr(m.hw))}
}
