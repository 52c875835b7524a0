package netboot

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// DHCP options that the server reads or writes.
const (
	optMask        = byte(dhcpv4.OptionSubnetMask)
	optRouter      = byte(dhcpv4.OptionRouter)
	optDNS         = byte(dhcpv4.OptionDomainNameServer)
	optHostname    = byte(dhcpv4.OptionHostName)
	optDomain      = byte(dhcpv4.OptionDomainName)
	optMTU         = byte(dhcpv4.OptionInterfaceMTU)
	optBroadcast   = byte(dhcpv4.OptionBroadcastAddress)
	optNTP         = byte(dhcpv4.OptionNTPServers)
	optVendor      = byte(dhcpv4.OptionVendorSpecificInformation)
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
	optTFTPServer  = byte(dhcpv4.OptionTFTPServerName)
	optBootFile    = byte(dhcpv4.OptionBootfileName)
	optUserClass   = byte(dhcpv4.OptionUserClassInformation)
	optRapidCommit = byte(dhcpv4.OptionRapidCommit)
	optAgent       = byte(dhcpv4.OptionRelayAgentInformation)
	optArch        = byte(dhcpv4.OptionClientSystemArchitectureType)
	optUUID        = byte(dhcpv4.OptionClientMachineIdentifier)
	optSearch      = byte(dhcpv4.OptionDNSDomainSearchList)
	optRoutes      = byte(dhcpv4.OptionClasslessStaticRoute)
	optRoutesMS    = byte(249) // the same, as Microsoft numbered it before
	optIPXE        = byte(175) // encapsulates iPXE's own, https://ipxe.org/howto/dhcpd
	optEnd         = byte(dhcpv4.OptionEnd)
)

// The layout of a message (RFC 2131, section 2), in bytes.
const (
	offsetFlags  = 10
	offsetClient = 12
	offsetYour   = 16
	offsetNext   = 20
	offsetRelay  = 24
	offsetHW     = 28
	offsetName   = 44
	offsetFile   = 108
	fileLen      = 128
	offsetMagic  = 236
	headerLen    = 240

	opRequest, opReply = 1, 2

	flagBroadcast = 0x8000

	// What option 52 says of the header's fields: they have options in them (RFC
	// 2132, section 9.3).
	overloadFile, overloadName = 1, 2

	// minMessage is what BOOTP has (RFC 1542, section 2.1), and relays still
	// want; defaultMessage what every client takes (RFC 2131, section 2), less
	// IP and UDP; maxMessage what fits an Ethernet frame.
	minMessage     = 300
	defaultMessage = 576 - 28
	maxMessage     = 1500 - 28
)

// magic begins the options (RFC 2131, section 3).
const magic = "\x63\x82\x53\x63"

// Errors of parse.
var (
	errShort    = errors.New("dhcp: message cut short")
	errNoDHCP   = errors.New("dhcp: not a request of DHCP")
	errNoOption = errors.New("dhcp: an option runs past the end")
	errAgent    = errors.New("dhcp: the relay's option is longer than 255 bytes")
)

// dhcpMessage is a request. It is a view of the packet: nothing is copied but
// options that come in pieces.
//
// The library's DHCPv4 does not replace it: that takes 30 allocations for a
// packet, and writes all options or none, where a reply must leave out the
// least important ones that the client has no room for.
type dhcpMessage struct {
	raw     []byte
	hw      []byte // chaddr: 0 to 16 bytes
	options []dhcpOption
}

type dhcpOption struct {
	code   byte
	joined bool // the data is our own copy
	data   []byte
}

// parse reads a request, the payload of UDP.
func (m *dhcpMessage) parse(b []byte) error { return m.parseAs(opRequest, b) }

func (m *dhcpMessage) parseAs(op byte, b []byte) error {
	m.options = m.options[:0]
	if len(b) < headerLen {
		return errShort
	}
	hlen := int(b[2])
	if b[0] != op || hlen > 16 || string(b[offsetMagic:headerLen]) != magic {
		return errNoDHCP
	}
	m.raw, m.hw = b, b[offsetHW:offsetHW+hlen]
	if err := m.parseOptions(b[headerLen:]); err != nil {
		return err
	}
	// In this order the areas are one (RFC 3396, section 5).
	if v := m.option(optOverload); len(v) == 1 {
		if v[0]&overloadFile != 0 {
			if err := m.parseOptions(b[offsetFile:offsetMagic]); err != nil {
				return err
			}
		}
		if v[0]&overloadName != 0 {
			if err := m.parseOptions(b[offsetName:offsetFile]); err != nil {
				return err
			}
		}
	}
	// One that must be echoed whole has to leave room for the rest.
	if len(m.option(optAgent)) > 255 {
		return errAgent
	}
	return nil
}

// parseOptions reads what an area has up to its end mark.
func (m *dhcpMessage) parseOptions(area []byte) error {
	for len(area) > 0 {
		code := area[0]
		if code == 0 {
			area = area[1:]
			continue
		}
		if code == optEnd {
			break
		}
		if len(area) < 2 || len(area) < 2+int(area[1]) {
			return errNoOption
		}
		m.add(code, area[2:2+int(area[1])])
		area = area[2+int(area[1]):]
	}
	return nil
}

// add keeps an option; several of one code are one in pieces (RFC 3396).
func (m *dhcpMessage) add(code byte, data []byte) {
	for i := range m.options {
		o := &m.options[i]
		if o.code != code {
			continue
		}
		if !o.joined {
			o.data, o.joined = append([]byte(nil), o.data...), true
		}
		o.data = append(o.data, data...)
		return
	}
	m.options = append(m.options, dhcpOption{code: code, data: data})
}

// option returns an option's data; nil if there is none, and not nil if it is
// empty.
func (m *dhcpMessage) option(code byte) []byte {
	for i := range m.options {
		if m.options[i].code == code {
			return m.options[i].data
		}
	}
	return nil
}

func (m *dhcpMessage) has(code byte) bool { return m.option(code) != nil }

// kind returns the message's type, none if it has none.
func (m *dhcpMessage) kind() dhcpv4.MessageType {
	if t := m.option(optType); len(t) == 1 {
		return dhcpv4.MessageType(t[0])
	}
	return dhcpv4.MessageTypeNone
}

func (m *dhcpMessage) broadcast() bool {
	return binary.BigEndian.Uint16(m.raw[offsetFlags:])&flagBroadcast != 0
}

func (m *dhcpMessage) client() netip.Addr { return addr4(m.raw[offsetClient:]) }
func (m *dhcpMessage) relay() netip.Addr  { return addr4(m.raw[offsetRelay:]) }

// addrOption returns the one address of an option.
func (m *dhcpMessage) addrOption(code byte) netip.Addr {
	if v := m.option(code); len(v) == 4 {
		return addr4(v)
	}
	return netip.Addr{}
}

// seconds reads an option of 32 bits.
func (m *dhcpMessage) seconds(code byte) (uint32, bool) {
	v := m.option(code)
	if len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// wants tells whether the parameter request list has a code. A client without
// a list wants everything.
func (m *dhcpMessage) wants(code byte) bool {
	list := m.option(optParameters)
	if len(list) == 0 {
		return true
	}
	for _, c := range list {
		if c == code {
			return true
		}
	}
	return false
}

// limit is the largest reply that the client takes, in bytes of UDP payload
// (option 57, RFC 2132, section 9.10).
func (m *dhcpMessage) limit() int {
	if v := m.option(optMaxSize); len(v) == 2 {
		return min(max(int(binary.BigEndian.Uint16(v))-28, defaultMessage), maxMessage)
	}
	return defaultMessage
}

// addr4 reads an address; 0.0.0.0 is none.
func addr4(b []byte) netip.Addr {
	a := netip.AddrFrom4([4]byte(b[:4]))
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// dhcpReply is an answer being written. Options are given in order of importance:
// what the client has no room for is left out.
type dhcpReply struct {
	b     []byte
	limit int // with room kept for what comes last
}

// newReply begins the answer to a request. RFC 2131, table 3: xid, flags,
// giaddr and chaddr are the request's.
func newReply(m *dhcpMessage, kind dhcpv4.MessageType) *dhcpReply {
	limit := m.limit()
	r := &dhcpReply{make([]byte, headerLen, min(limit, defaultMessage)), limit}
	copy(r.b, m.raw[:offsetClient])
	r.b[0], r.b[3] = opReply, 0 // hops
	r.b[8], r.b[9] = 0, 0       // secs
	copy(r.b[offsetRelay:], m.raw[offsetRelay:offsetHW+16])
	copy(r.b[offsetMagic:], magic)
	r.limit -= 1 // the end
	if agent := m.option(optAgent); agent != nil {
		r.limit -= pieces(len(agent))
	}
	r.put(optType, []byte{byte(kind)})
	return r
}

// pieces is the length of an option with so many bytes of data.
func pieces(n int) int { return n + 2*max((n+254)/255, 1) }

// put appends an option, in pieces if it is long (RFC 3396), if there is room.
func (r *dhcpReply) put(code byte, data []byte) bool {
	if len(r.b)+pieces(len(data)) > r.limit {
		return false
	}
	r.append(code, data)
	return true
}

func (r *dhcpReply) append(code byte, data []byte) {
	for {
		n := min(len(data), 255)
		r.b = append(append(r.b, code, byte(n)), data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return
		}
	}
}

func (r *dhcpReply) putAddr(code byte, a netip.Addr) bool {
	b := a.As4()
	return r.put(code, b[:])
}

func (r *dhcpReply) putSeconds(code byte, s uint32) bool {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], s)
	return r.put(code, b[:])
}

// field writes an address of the header.
func (r *dhcpReply) field(offset int, a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		copy(r.b[offset:], b[:])
	}
}

// bytes ends the message. The relay's option comes last (RFC 3046, section
// 2.2), whatever else has no room: without it the relay cannot pass the
// message on.
func (r *dhcpReply) bytes(m *dhcpMessage) []byte {
	if agent := m.option(optAgent); agent != nil {
		r.append(optAgent, agent)
	}
	r.b = append(r.b, optEnd)
	for len(r.b) < minMessage {
		r.b = append(r.b, 0)
	}
	return r.b
}
