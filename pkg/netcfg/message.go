package netcfg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// MessageType is DHCP option 53 (RFC 2132, section 9.6).
type MessageType = dhcpv4.MessageType

// The types of DHCP messages.
const (
	Discover = dhcpv4.MessageTypeDiscover
	Offer    = dhcpv4.MessageTypeOffer
	Request  = dhcpv4.MessageTypeRequest
	Decline  = dhcpv4.MessageTypeDecline
	Ack      = dhcpv4.MessageTypeAck
	Nak      = dhcpv4.MessageTypeNak
	Release  = dhcpv4.MessageTypeRelease
)

// DHCP options that the client sends or reads.
const (
	optMask        = byte(dhcpv4.OptionSubnetMask)
	optRouter      = byte(dhcpv4.OptionRouter)
	optDNS         = byte(dhcpv4.OptionDomainNameServer)
	optHostname    = byte(dhcpv4.OptionHostName)
	optDomain      = byte(dhcpv4.OptionDomainName)
	optRootPath    = byte(dhcpv4.OptionRootPath)
	optMTU         = byte(dhcpv4.OptionInterfaceMTU)
	optNTP         = byte(dhcpv4.OptionNTPServers)
	optRequested   = byte(dhcpv4.OptionRequestedIPAddress)
	optLeaseTime   = byte(dhcpv4.OptionIPAddressLeaseTime)
	optOverload    = byte(dhcpv4.OptionOptionOverload)
	optType        = byte(dhcpv4.OptionDHCPMessageType)
	optServerID    = byte(dhcpv4.OptionServerIdentifier)
	optParameters  = byte(dhcpv4.OptionParameterRequestList)
	optText        = byte(dhcpv4.OptionMessage)
	optMaxSize     = byte(dhcpv4.OptionMaximumDHCPMessageSize)
	optT1          = byte(dhcpv4.OptionRenewTimeValue)
	optT2          = byte(dhcpv4.OptionRebindingTimeValue)
	optClass       = byte(dhcpv4.OptionClassIdentifier)
	optClientID    = byte(dhcpv4.OptionClientIdentifier)
	optBootFile    = byte(dhcpv4.OptionBootfileName)
	optRapidCommit = byte(dhcpv4.OptionRapidCommit)
	optSearch      = byte(dhcpv4.OptionDNSDomainSearchList)
	optRoutes      = byte(dhcpv4.OptionClasslessStaticRoute)
	optRoutesMS    = byte(249) // the same, as Microsoft numbered it before
	optEnd         = byte(dhcpv4.OptionEnd)
)

// The layout of a message (RFC 2131, section 2), in bytes.
const (
	headerLen      = 236
	maxMessage     = 1472 // what fits an Ethernet frame behind IP and UDP
	overloadFile   = 1
	overloadServer = 2
	offsetServer   = 44 // sname, 64 bytes
	offsetFile     = 108
)

// magic begins the options (RFC 2131, section 3).
const magic = "\x63\x82\x53\x63"

// Message is one DHCPv4 message, of a client or a server: what of a
// [dhcpv4.DHCPv4] the client needs, checked.
type Message struct {
	Reply     bool // from a server
	XID       uint32
	Secs      uint16
	Broadcast bool       // the client cannot hear unicast yet
	Client    netip.Addr // ciaddr
	Your      netip.Addr // yiaddr
	Next      netip.Addr // siaddr
	HW        MAC
	File      string // the boot file, of the header or of option 67

	// Options by number. Several with one number are joined (RFC 3396).
	Options map[byte][]byte
}

// Errors of ParseMessage.
var (
	errShort    = errors.New("dhcp message: cut short")
	errNoDHCP   = errors.New("dhcp message: not DHCP over Ethernet")
	errNoOption = errors.New("dhcp message: an option runs past the end")
)

// ParseMessage reads a DHCPv4 message, the payload of UDP: 240 bytes or more,
// with the options that overflow into the fields for file and server (option
// 52). Nothing in the result shares memory with b.
func ParseMessage(b []byte) (Message, error) {
	const optionsAt = headerLen + len(magic)
	if len(b) < optionsAt {
		return Message{}, errShort
	}
	if string(b[headerLen:optionsAt]) != magic {
		return Message{}, errNoDHCP
	}
	header := b[:optionsAt]
	p, err := parseArea(header, b[optionsAt:])
	if err != nil {
		return Message{}, err
	}
	if p.OpCode != dhcpv4.OpcodeBootRequest && p.OpCode != dhcpv4.OpcodeBootReply ||
		p.HWType != iana.HWTypeEthernet || len(p.ClientHWAddr) != 6 {
		return Message{}, errNoDHCP
	}
	m := Message{
		Reply:     p.OpCode == dhcpv4.OpcodeBootReply,
		XID:       binary.BigEndian.Uint32(p.TransactionID[:]),
		Secs:      p.NumSeconds,
		Broadcast: p.IsBroadcast(),
		Client:    addr4(p.ClientIPAddr),
		Your:      addr4(p.YourIPAddr),
		Next:      addr4(p.ServerIPAddr),
		HW:        MAC(p.ClientHWAddr),
		Options:   p.Options,
	}
	overload, _ := m.byteOption(optOverload)
	// RFC 2131, section 4.1: file first, then sname.
	if overload&overloadFile != 0 {
		if err := m.join(header, b[offsetFile:headerLen]); err != nil {
			return Message{}, err
		}
	} else {
		m.File = text([]byte(p.BootFileName))
	}
	if overload&overloadServer != 0 {
		if err := m.join(header, b[offsetServer:offsetFile]); err != nil {
			return Message{}, err
		}
	}
	if f := text(m.Options[optBootFile]); f != "" {
		m.File = f
	}
	return m, nil
}

// parseArea reads a header with one of its areas of options. The library knows
// none but the last, and wants an end mark, which some servers forget.
func parseArea(header, area []byte) (*dhcpv4.DHCPv4, error) {
	p, err := dhcpv4.FromBytes(slices.Concat(header, area, []byte{optEnd}))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoOption, err)
	}
	return p, nil
}

// join adds the options of another area.
func (m *Message) join(header, area []byte) error {
	p, err := parseArea(header, area)
	if err != nil {
		return err
	}
	for code, v := range p.Options {
		m.Options[code] = append(m.Options[code], v...)
	}
	return nil
}

// Type returns the message's type, 0 if it has none or a wrong one.
func (m Message) Type() MessageType {
	t, _ := m.byteOption(optType)
	return MessageType(t)
}

func (m Message) byteOption(code byte) (byte, bool) {
	v := m.Options[code]
	if len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// addrOption returns the first address of an option.
func (m Message) addrOption(code byte) netip.Addr {
	if v := m.Options[code]; len(v) >= 4 {
		return addr4(v)
	}
	return netip.Addr{}
}

// Bytes returns the message as it goes into UDP, its options in ascending
// order, padded to the 300 bytes that relays want (RFC 1542, section 2.1).
//
// It fills a [dhcpv4.DHCPv4] itself: dhcpv4.New draws a transaction id, and
// spins for as long as the machine has no entropy.
func (m Message) Bytes() []byte {
	d := dhcpv4.DHCPv4{
		OpCode:       dhcpv4.OpcodeBootRequest,
		HWType:       iana.HWTypeEthernet,
		NumSeconds:   m.Secs,
		ClientIPAddr: ip4(m.Client),
		YourIPAddr:   ip4(m.Your),
		ServerIPAddr: ip4(m.Next),
		ClientHWAddr: m.HW[:],
		BootFileName: m.File,
		Options:      m.Options,
	}
	binary.BigEndian.PutUint32(d.TransactionID[:], m.XID)
	if m.Reply {
		d.OpCode = dhcpv4.OpcodeBootReply
	}
	if m.Broadcast {
		d.SetBroadcast()
	}
	return d.ToBytes()
}

// ip4 is an address as the library writes it: it panics on what is not IPv4,
// nil is 0.0.0.0.
func ip4(a netip.Addr) net.IP {
	if !a.Is4() {
		return nil
	}
	return a.AsSlice()
}

// addr4 reads an address; 0.0.0.0 is none.
func addr4(b []byte) netip.Addr {
	a := netip.AddrFrom4([4]byte(b[:4]))
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// text returns the printable ASCII of a field up to its first NUL, or nothing
// if there is anything else in it: what servers send ends up in files.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return string(b)
}
