package netcfg

import (
	"encoding/binary"
	"errors"
	"slices"
)

// kind6 is the type of a DHCPv6 message (RFC 8415, section 7.3).
type kind6 uint8

// The messages that a client sends and hears.
const (
	kind6Solicit     kind6 = 1
	kind6Advertise   kind6 = 2
	kind6Request     kind6 = 3
	kind6Confirm     kind6 = 4
	kind6Renew       kind6 = 5
	kind6Rebind      kind6 = 6
	kind6Reply       kind6 = 7
	kind6Release     kind6 = 8
	kind6Decline     kind6 = 9
	kind6Information kind6 = 11
)

// DHCPv6 options that the client sends or reads (RFC 8415, section 21; RFC
// 3646, 4075, 4704, 5908).
const (
	opt6ClientID    = 1
	opt6ServerID    = 2
	opt6IANA        = 3
	opt6IAAddr      = 5
	opt6ORO         = 6
	opt6Elapsed     = 8
	opt6Status      = 13
	opt6RapidCommit = 14
	opt6DNS         = 23
	opt6Search      = 24
	opt6SNTP        = 31
	opt6Refresh     = 32
	opt6FQDN        = 39
	opt6NTP         = 56
	opt6SolMaxRT    = 82
	opt6InfMaxRT    = 83
)

// The lists of what the client asks for (option 6). The upper bound of
// retransmission belongs in each (RFC 8415, sections 18.2.1 and 18.2.6).
const (
	askAlways      = "\x00\x17\x00\x18\x00\x1f\x00\x27\x00\x38" // 23, 24, 31, 39, 56
	askAddress     = askAlways + "\x00\x52"                     // 82
	askInformation = askAlways + "\x00\x20\x00\x53"             // 32, 83
)

// status6 is a status code (RFC 8415, section 21.13).
type status6 uint16

// The status codes that a client can get.
const (
	status6Success      status6 = 0
	status6Unspecified  status6 = 1
	status6NoAddrs      status6 = 2
	status6NoBinding    status6 = 3
	status6NotOnLink    status6 = 4
	status6UseMulticast status6 = 5
)

// String says what a server means, for a log.
func (s status6) String() string {
	names := [...]string{"success", "it fails", "it has no addresses", "it knows of no lease", "not on this link", "use multicast"}
	if int(s) >= len(names) {
		return "an unknown status"
	}
	return names[s]
}

// message6 is one DHCPv6 message between client and server.
type message6 struct {
	kind    kind6
	xid     uint32 // 24 bits
	options options6
}

// option6 is one option, without its header.
type option6 struct {
	code  uint16
	value []byte
}

type options6 []option6

// Errors of parseMessage6.
var (
	errShort6  = errors.New("dhcpv6 message: cut short")
	errRelay6  = errors.New("dhcpv6 message: of a relay")
	errOption6 = errors.New("dhcpv6 message: an option runs past the end")
)

// parseMessage6 reads a DHCPv6 message, the payload of UDP (RFC 8415, section
// 8). Nothing in the result shares memory with b.
func parseMessage6(b []byte) (message6, error) {
	if len(b) < 4 {
		return message6{}, errShort6
	}
	m := message6{kind: kind6(b[0]), xid: binary.BigEndian.Uint32(b) & 0xffffff}
	if m.kind == 12 || m.kind == 13 {
		return message6{}, errRelay6
	}
	var err error
	m.options, err = parseOptions6(slices.Clone(b[4:]))
	return m, err
}

// parseOptions6 reads options, of a message or of an option that holds others.
func parseOptions6(b []byte) (options6, error) {
	var o options6
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errOption6
		}
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return nil, errOption6
		}
		o = append(o, option6{binary.BigEndian.Uint16(b), b[4:n]})
		b = b[n:]
	}
	return o, nil
}

// get returns the first option of a number. It has a dozen callers, and would
// take up more of init in each of them.
//
//go:noinline
func (o options6) get(code uint16) (value []byte, ok bool) {
	for _, option := range o {
		if option.code == code {
			return option.value, true
		}
	}
	return nil, false
}

// add appends an option. It is no more inlined than get.
//
//go:noinline
func (o *options6) add(code uint16, value []byte) { *o = append(*o, option6{code, value}) }

// bytes returns the options as they go over the wire.
func (o options6) bytes() []byte {
	var b []byte
	for _, option := range o {
		n := len(option.value)
		b = append(b, byte(option.code>>8), byte(option.code), byte(n>>8), byte(n))
		b = append(b, option.value...)
	}
	return b
}

// bytes returns the message as it goes into UDP.
func (m message6) bytes() []byte {
	header := binary.BigEndian.AppendUint32(nil, uint32(m.kind)<<24|m.xid&0xffffff)
	return append(header, m.options.bytes()...)
}

// status returns the status of a message or of an option that holds others;
// none means success (RFC 8415, section 21.13).
func (o options6) status() (status6, string) {
	v, _ := o.get(opt6Status)
	if len(v) < 2 {
		return status6Success, ""
	}
	return status6(binary.BigEndian.Uint16(v)), text(v[2:])
}

// seconds6 reads an option of 32 bits; ok is false when it is none. It is no
// more inlined than get.
//
//go:noinline
func (o options6) seconds6(code uint16) (seconds uint32, ok bool) {
	v, _ := o.get(code)
	if len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}
