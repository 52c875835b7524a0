package netcfg

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// MAC is an Ethernet address; the zero value means none.
type MAC [6]byte

// IsZero reports whether there is no address.
func (m MAC) IsZero() bool { return m == MAC{} }

// String returns the address as the kernel writes it: "52:54:00:12:34:56".
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, c := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

// ParseMAC reads six pairs of hexadecimal digits with colons or dashes between
// them: "52:54:00:12:34:56", "52-54-00-12-34-56".
func ParseMAC(s string) (MAC, error) {
	var m MAC
	sep := ":"
	if strings.Contains(s, "-") {
		sep = "-"
	}
	pairs := strings.Split(s, sep)
	if len(pairs) != len(m) {
		return MAC{}, fmt.Errorf("%q is no MAC address", s)
	}
	for i, p := range pairs {
		b, err := hex.DecodeString(p)
		if err != nil || len(b) != 1 {
			return MAC{}, fmt.Errorf("%q is no MAC address", s)
		}
		m[i] = b[0]
	}
	if m.IsZero() {
		return MAC{}, fmt.Errorf("%q is no MAC address", s)
	}
	return m, nil
}

// ParseBOOTIF reads the BOOTIF= that PXELINUX and iPXE pass on: the hardware
// type in front of the address ("01-52-54-00-12-34-56"), which some leave out.
func ParseBOOTIF(s string) (MAC, error) {
	if len(s) == len("01-52-54-00-12-34-56") && (s[2] == '-' || s[2] == ':') {
		if s[:2] != "01" {
			return MAC{}, fmt.Errorf("hardware type %q is not Ethernet", s[:2])
		}
		s = s[3:]
	}
	return ParseMAC(s)
}
