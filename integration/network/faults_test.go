//go:build linux

package network

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// reply is a server's message whose parts can be spoiled one by one.
type reply struct {
	header  []byte   // the fields of fixed length, and the magic
	options []option // in this order, as often as they are there
	tail    []byte   // what comes after the options
}

type option struct {
	code  byte
	value []byte
}

// The places of fields in the header (RFC 2131, section 2).
const (
	atOp, atType, atLen, atXID           = 0, 1, 2, 4
	atYour, atNext, atHW, atName, atFile = 16, 20, 28, 44, 108
	atMagic, headerLen                   = 236, 240
)

// newReply is a good reply to what was asked: mostly an OFFER or an ACK.
func newReply(rng *rand.Rand, asked message) *reply {
	kind, last := dhcpv4.MessageTypeAck, byte(2+rng.IntN(250))
	switch refuse := rng.IntN(20) == 0; {
	case asked.MessageType() == dhcpv4.MessageTypeDiscover:
		kind = dhcpv4.MessageTypeOffer
	case refuse:
		kind = dhcpv4.MessageTypeNak
	}
	header := dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: iana.HWTypeEthernet, TransactionID: asked.TransactionID,
		ClientHWAddr: asked.ClientHWAddr, YourIPAddr: net.IPv4(10, 9, 0, last), Options: dhcpv4.Options{},
	}
	ip, id := server.AsSlice(), server.AsSlice()
	if wanted := asked.ServerIdentifier(); wanted != nil {
		id = wanted // what an OFFER has said
	}
	return &reply{
		header: header.ToBytes()[:headerLen],
		options: []option{
			{53, []byte{byte(kind)}}, {54, id}, {1, []byte{255, 255, 255, 0}}, {3, ip}, {6, ip}, {51, []byte{0, 0, 0, 60}},
			{12, []byte("node7")}, {15, []byte("example.org")},
		},
		tail: []byte{255},
	}
}

// set gives an option another value, or adds it.
func (r *reply) set(code byte, value []byte) {
	for i := range r.options {
		if r.options[i].code == code {
			r.options[i].value = value
			return
		}
	}
	r.options = append(r.options, option{code, value})
}

// frame is the reply on its way.
func (r *reply) frame(asked message) []byte {
	b := append([]byte(nil), r.header...)
	for _, o := range r.options {
		// RFC 3396: a long value is several options.
		for v := o.value; ; v = v[255:] {
			n := min(len(v), 255)
			b = append(append(b, o.code, byte(n)), v[:n]...)
			if n < 255 || len(v) == n {
				break
			}
		}
	}
	return ether(hw(asked.ClientHWAddr), serverHW, 0, typeIPv4,
		ipv4(netip.AddrPortFrom(server, portServer), netip.AddrPortFrom(broadcast, portClient), append(b, r.tail...)))
}

// oneOf chooses.
func oneOf[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// noise is up to n bytes of anything.
func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, rng.IntN(n+1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// known are the options that the client reads.
var known = []byte{1, 3, 6, 12, 15, 17, 26, 42, 51, 52, 53, 54, 56, 58, 59, 61, 67, 80, 119, 121, 249}

// bad are texts that a program must not take for what it expects.
var bad = []string{
	"$(touch /pwned)", "`touch /pwned`", "';touch /pwned;'", "a;touch /pwned", "\"; touch /pwned; \"", "'\\''", "a\ntouch /pwned\n", "a\n'",
	"\x00", "a\x00b", "\x1b[2J", "\xff\xfe", "..", "/../../pwned", "-", "-e", "%s%n", "a b c", ".", "a..b", "-a.b", strings.Repeat("a", 64),
	strings.Repeat("a", 255), strings.Repeat("a.", 127), strings.Repeat("x", 1000), "localhost", "node7.", "ü", "\t", "#", "=", "nameserver 6.6.6.6",
}

// messageFaults spoil a message.
var messageFaults = []struct {
	name  string
	spoil func(*rand.Rand, *reply)
}{
	{"type", func(rng *rand.Rand, r *reply) {
		r.set(53, oneOf(rng, nil, []byte{0}, []byte{2}, []byte{5}, []byte{6}, noise(rng, 3)))
	}},
	{"value", func(rng *rand.Rand, r *reply) { r.set(oneOf(rng, known...), noise(rng, 40)) }},
	{"any option", func(rng *rand.Rand, r *reply) { r.set(byte(rng.Uint32()), noise(rng, 300)) }},
	{"length 0", func(rng *rand.Rand, r *reply) { r.set(oneOf(rng, known...), nil) }},
	{"length 255", func(rng *rand.Rand, r *reply) {
		v := make([]byte, 255)
		for i := range v {
			v[i] = oneOf(rng, byte(rng.Uint32()), 0, 'a', 10)
		}
		r.set(oneOf(rng, known...), v)
	}},
	{"past the end", func(rng *rand.Rand, r *reply) {
		r.tail = append([]byte{oneOf(rng, known...), oneOf[byte](rng, 0, 1, 4, 100, 255)}, noise(rng, 3)...)
	}},
	{"no end", func(_ *rand.Rand, r *reply) { r.tail = nil }},
	{"twice", func(rng *rand.Rand, r *reply) { r.options = append(r.options, oneOf(rng, r.options...)) }},
	{"left out", func(rng *rand.Rand, r *reply) {
		i := rng.IntN(len(r.options))
		r.options = append(r.options[:i:i], r.options[min(i+1, len(r.options)):]...)
		r.options = append(r.options, option{0, nil})
	}},
	{"text", func(rng *rand.Rand, r *reply) {
		r.set(oneOf[byte](rng, 12, 12, 15, 17, 56, 67), []byte(oneOf(rng, bad...)))
	}},
	{"header text", func(rng *rand.Rand, r *reply) {
		at := oneOf(rng, atName, atFile)
		copy(r.header[at:at+64], oneOf(rng, bad...))
	}},
	{"time", func(rng *rand.Rand, r *reply) {
		seconds := oneOf[uint32](rng, 0, 1, 10, 1<<31-1, 1<<31, 1<<32-2, 1<<32-1, rng.Uint32())
		r.set(oneOf[byte](rng, 51, 51, 58, 59), binary.BigEndian.AppendUint32(nil, seconds))
	}},
	{"mask", func(rng *rand.Rand, r *reply) {
		r.set(1, binary.BigEndian.AppendUint32(nil, oneOf(rng, 0, 1, 0xff00ff00, 0xffffffff, 0xfffffffe, 0x80000000, rng.Uint32())))
	}},
	{"address", func(rng *rand.Rand, r *reply) {
		binary.BigEndian.PutUint32(r.header[oneOf(rng, atYour, atYour, atNext):], oneOf(rng,
			0, 0xffffffff, 0x7f000001, 0xe0000001, 0xf0000001, 0x0a090000, 0x0a0900ff, 0xa9fe0101, rng.Uint32()))
	}},
	{"addresses", func(rng *rand.Rand, r *reply) {
		v := noise(rng, 80)
		for i := 0; i+4 <= len(v) && rng.IntN(2) == 0; i += 4 {
			copy(v[i:], oneOf(rng, "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x7f\x00\x00\x01", "\x0a\x09\x00\x01", "\xe0\x00\x00\x01"))
		}
		r.set(oneOf[byte](rng, 3, 6, 42, 54), v)
	}},
	{"routes", func(rng *rand.Rand, r *reply) { r.set(oneOf[byte](rng, 121, 121, 249), routes(rng)) }},
	{"search list", func(rng *rand.Rand, r *reply) {
		var v []byte
		for range rng.IntN(20) {
			v = append(v, oneOf(rng, "\x01a\x00", "\xc0\x00", "\xc0\x02", "\xff\xff", "\x3fa", "\x00", "\x07a;b\n'$(\x00", "\x01a\xc0\x00", "\x80", "\x02..\x00")...)
		}
		r.set(119, v)
	}},
	{"overload", func(rng *rand.Rand, r *reply) {
		r.set(52, []byte{oneOf[byte](rng, 0, 1, 2, 3, 255)})
		copy(r.header[atName:atMagic], noise(rng, atMagic-atName))
	}},
	{"MTU", func(rng *rand.Rand, r *reply) {
		r.set(26, binary.BigEndian.AppendUint16(nil, oneOf(rng, 0, 67, 68, 576, 1500, 9000, 65535, uint16(rng.Uint32()))))
	}},
	{"wrong transaction", func(rng *rand.Rand, r *reply) { binary.BigEndian.PutUint32(r.header[atXID:], rng.Uint32()) }},
	{"wrong hardware", func(rng *rand.Rand, r *reply) { r.header[oneOf(rng, atHW, atHW+5, atType, atLen)] = byte(rng.Uint32()) }},
	{"a request", func(_ *rand.Rand, r *reply) { r.header[atOp] = 1 }},
	{"magic", func(rng *rand.Rand, r *reply) { r.header[atMagic+rng.IntN(4)]++ }},
}

// routes is an option 121 that is more or less wrong.
func routes(rng *rand.Rand) []byte {
	var v []byte
	for range oneOf(rng, 1, 1, 2, 30, 100) {
		bits := byte(rng.IntN(34))
		if rng.IntN(3) == 0 {
			bits = 0
		}
		v = append(v, bits)
		v = binary.BigEndian.AppendUint32(v, rng.Uint32())[:len(v)+min(4, int(bits+7)/8)]
		v = append(v, oneOf(rng, "\x0a\x09\x00\x01", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x7f\x00\x00\x01", "\xac\x10\x00\x01")...)
	}
	return v[:len(v)-rng.IntN(2)*rng.IntN(min(5, len(v)))]
}

// The places of fields in a frame without a tag.
const (
	atEtherType                               = 12
	atIP, atTotal, atFragment, atProtocol     = 14, 16, 20, 23
	atUDP, atPort, atUDPLen, atUDPSum, atDHCP = 34, 36, 38, 40, 42
)

// frameFaults spoil what a message travels in.
var frameFaults = []struct {
	name  string
	spoil func(*rand.Rand, []byte) []byte
}{
	{"bits", func(rng *rand.Rand, b []byte) []byte {
		for range 1 + rng.IntN(8) {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
		return b
	}},
	{"bits of the message", func(rng *rand.Rand, b []byte) []byte {
		for range 1 + rng.IntN(8) {
			b[atDHCP+headerLen+rng.IntN(len(b)-atDHCP-headerLen)] ^= 1 << rng.IntN(8)
		}
		return b
	}},
	{"cut", func(rng *rand.Rand, b []byte) []byte { return b[:1+rng.IntN(len(b)-1)] }},
	{"cut, lengths right", func(rng *rand.Rand, b []byte) []byte {
		b = b[:atDHCP+rng.IntN(len(b)-atDHCP)]
		return relength(b)
	}},
	{"runt", func(rng *rand.Rand, b []byte) []byte { return b[:1+rng.IntN(atUDP)] }},
	{"giant", func(rng *rand.Rand, b []byte) []byte { return append(b, make([]byte, rng.IntN(16000))...) }},
	{"giant, lengths right", func(rng *rand.Rand, b []byte) []byte {
		return relength(append(b, make([]byte, rng.IntN(16000))...))
	}},
	{"header length", func(rng *rand.Rand, b []byte) []byte { return sealed(b, atIP, byte(0x40+rng.IntN(16))) }},
	{"version", func(rng *rand.Rand, b []byte) []byte { return sealed(b, atIP, byte(rng.IntN(16)<<4+5)) }},
	{"total length", func(rng *rand.Rand, b []byte) []byte {
		binary.BigEndian.PutUint16(b[atTotal:], oneOf(rng, 0, 19, 20, 27, 28, 65535, uint16(rng.Uint32())))
		return sealed(b, atIP, b[atIP])
	}},
	{"fragment", func(rng *rand.Rand, b []byte) []byte {
		binary.BigEndian.PutUint16(b[atFragment:], oneOf(rng, 0x2000, 1, 0x2001, 0x1fff, 0x8000, uint16(rng.Uint32())))
		return sealed(b, atIP, b[atIP])
	}},
	{"protocol", func(rng *rand.Rand, b []byte) []byte { return sealed(b, atProtocol, byte(rng.Uint32())) }},
	{"IP checksum", func(rng *rand.Rand, b []byte) []byte { b[atIP+10]++; return b }},
	{"ports", func(rng *rand.Rand, b []byte) []byte {
		binary.BigEndian.PutUint16(b[oneOf(rng, atUDP, atPort):], uint16(rng.Uint32()))
		return b
	}},
	{"UDP length", func(rng *rand.Rand, b []byte) []byte {
		binary.BigEndian.PutUint16(b[atUDPLen:], oneOf(rng, 0, 7, 8, 9, 65535, uint16(rng.Uint32())))
		return b
	}},
	{"UDP checksum", func(rng *rand.Rand, b []byte) []byte { b[atUDPSum] = 1; return b }},
	{"Ethernet type", func(rng *rand.Rand, b []byte) []byte {
		binary.BigEndian.PutUint16(b[atEtherType:], oneOf[uint16](rng, typeARP, typeVLAN, 0x86dd, 0, 100))
		return b
	}},
}

// relength makes the lengths in the headers those of the frame.
func relength(b []byte) []byte {
	binary.BigEndian.PutUint16(b[atTotal:], uint16(len(b)-atIP))
	binary.BigEndian.PutUint16(b[atUDPLen:], uint16(len(b)-atUDP))
	return sealed(b, atIP, b[atIP])
}

// sealed changes a byte of the IPv4 header and its checksum.
func sealed(b []byte, at int, value byte) []byte {
	b[at] = value
	seal(b[atIP:atUDP])
	return b
}
