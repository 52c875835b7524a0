package netboot

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
)

// iPXE's own options that say what it was built with, inside option 175:
// https://ipxe.org/cfg and dhcp.h of iPXE.
const (
	ipxeNoProxy = 176 // do not wait for offers of a proxyDHCP server
	ipxeHTTP    = 19
)

// maxText is the longest text that is kept of a client.
const maxText = 128

// clientInfo reads what a request says of the machine.
func (m *dhcpMessage) clientInfo() Client {
	c := Client{
		ID:          string(m.option(optClientID)),
		UUID:        uuidText(m.option(optUUID)),
		Hostname:    hostname(m.option(optHostname)),
		VendorClass: plainText(m.option(optClass)),
		IP:          m.client(),
		Relay:       m.relay(),
	}
	if len(m.hw) > 0 {
		c.MAC = net.HardwareAddr(append([]byte(nil), m.hw...))
	}
	// RFC 4578: a list of 16-bit types, of which the first is the one in use.
	if v := m.option(optArch); len(v) >= 2 {
		c.Arch = Arch(binary.BigEndian.Uint16(v))
	}
	c.PXE = strings.HasPrefix(c.VendorClass, "PXEClient")
	c.HTTPBoot = strings.HasPrefix(c.VendorClass, "HTTPClient")
	c.UserClass = userClass(m.option(optUserClass))
	own := m.option(optIPXE)
	c.IPXE = c.UserClass == "iPXE" || len(own) > 0 && c.PXE
	if c.IPXE {
		c.IPXEHTTP = ipxeCanHTTP(own)
	}
	return c
}

// userClass reads option 77. RFC 3004 has a list of texts with their lengths;
// iPXE sends a plain text.
func userClass(v []byte) string {
	if len(v) > 1 && int(v[0]) == len(v)-1 {
		v = v[1:]
	}
	return plainText(v)
}

// ipxeCanHTTP looks for the feature among iPXE's options. One that lists no
// features is taken to have it, as all of today's do.
func ipxeCanHTTP(own []byte) bool {
	if len(own) == 0 {
		return true
	}
	for len(own) > 1 && len(own) >= 2+int(own[1]) {
		n := int(own[1])
		if own[0] == ipxeHTTP {
			return n > 0 && own[2] != 0
		}
		own = own[2+n:]
	}
	return false
}

// uuidText formats option 97: a type, which is 0, and 16 bytes.
func uuidText(v []byte) string {
	if len(v) != 17 || v[0] != 0 {
		return ""
	}
	var b [36]byte
	at := 0
	for _, field := range [...][]byte{v[1:5], v[5:7], v[7:9], v[9:11], v[11:17]} {
		if at > 0 {
			b[at] = '-'
			at++
		}
		at += hex.Encode(b[at:], field)
	}
	return string(b[:])
}

// hostname returns the first label of a name, "" if it is none: what clients
// send ends up in command lines and lists.
func hostname(v []byte) string {
	label, _, _ := strings.Cut(strings.TrimRight(string(v), "\x00"), ".")
	if label == "" || len(label) > 63 || label[0] == '-' {
		return ""
	}
	for i := range len(label) {
		c := label[i]
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return ""
		}
	}
	return label
}

// plainText returns a text with nothing in it but printable ASCII, and not too
// much of that.
func plainText(v []byte) string {
	n := 0
	for n < len(v) && n < maxText && v[n] >= ' ' && v[n] < 0x7f {
		n++
	}
	return string(v[:n])
}

// key is who the client is to the table: its hardware, or its identifier if
// the configuration says so or the hardware has no address. The first byte
// keeps the two apart, and kinds of hardware too.
func (m *dhcpMessage) key(byID bool) string {
	id := m.option(optClientID)
	if len(id) > 1 && (byID || len(m.hw) == 0) {
		return "\xff" + string(id)
	}
	if len(m.hw) == 0 {
		return ""
	}
	return string(m.raw[1:2]) + string(m.hw)
}
