package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseAddr reads an address, or none: "" and, as for the kernel, 0.0.0.0.
func parseAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is no IP address", s)
	}
	if a.IsUnspecified() {
		return netip.Addr{}, nil
	}
	return a, nil
}

// withMask joins a client's address and a netmask: dotted, or a number of
// bits, or none.
func withMask(a netip.Addr, mask string) (netip.Prefix, error) {
	if !usable(a) {
		return netip.Prefix{}, fmt.Errorf("client address: %s is not the address of one machine", a)
	}
	if mask == "" || mask == "0.0.0.0" {
		return netip.PrefixFrom(a, defaultBits(a)), nil
	}
	if n, err := strconv.ParseUint(mask, 10, 8); err == nil {
		if n == 0 || int(n) > a.BitLen() {
			return netip.Prefix{}, fmt.Errorf("netmask: %d is not 1 to %d bits", n, a.BitLen())
		}
		return netip.PrefixFrom(a, int(n)), nil
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return netip.Prefix{}, fmt.Errorf("netmask: %q is neither a mask nor a number of bits", mask)
	}
	if !a.Is4() {
		return netip.Prefix{}, fmt.Errorf("netmask: %s does not go with an IPv6 address", m)
	}
	bits, ok := maskBits(m.As4())
	if !ok {
		return netip.Prefix{}, fmt.Errorf("netmask: the bits of %s are not in one piece", m)
	}
	return netip.PrefixFrom(a, bits), nil
}

// usable reports whether a is the address of one machine: none that is
// unspecified, multicast or reserved (240.0.0.0/4, RFC 1112). Loopback passes,
// for klibc's 127.0.0.1:::::lo:none.
func usable(a netip.Addr) bool {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	return !a.Is4() || (a.As4()[0] != 0 && a.As4()[0] < 240)
}

// defaultBits is the mask of an address that came without one: that of its
// class (inet_abc_len, v6.12), and 64 for IPv6.
func defaultBits(a netip.Addr) int {
	if !a.Is4() {
		return 64
	}
	switch first := a.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	default:
		return 24
	}
}

// maskBits counts the bits of a mask that is contiguous and not 0.0.0.0.
func maskBits(m [4]byte) (int, bool) {
	v := uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3])
	bits := 0
	for ; v&(1<<31) != 0; v <<= 1 {
		bits++
	}
	return bits, v == 0 && bits > 0
}

// validDevice reports whether the kernel takes the name (dev_valid_name,
// net/core/dev.c, v6.12).
func validDevice(name string) bool {
	if name == "" || len(name) > 15 || name == "." || name == ".." {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || c == '/' || c == ':' {
			return false
		}
	}
	return true
}

func (s *Spec) setDevice(name string) error {
	if name == "all" {
		return nil
	}
	if name == "BOOTIF" {
		s.BootDev = true
		return nil
	}
	if m, err := ParseMAC(name); err == nil {
		s.HW = m
		return nil
	}
	if !validDevice(name) {
		return fmt.Errorf("device: %q is no name of a device", name)
	}
	s.Device = name
	return nil
}

// setServer reads the second field: the kernel's server, dracut's peer.
func (s *Spec) setServer(v string) error {
	if strings.Contains(v, "/") {
		p, err := netip.ParsePrefix(v)
		if err != nil || !usable(p.Addr()) {
			return fmt.Errorf("peer: %q is no address with a prefix length", v)
		}
		s.Peer = p
		return nil
	}
	a, err := parseAddr(v)
	if err != nil {
		// in_aton reads it as 0.0.0.0, so many a command line has it.
		if v == "none" {
			return nil
		}
		return fmt.Errorf("server or peer: %w", err)
	}
	s.Server = a
	return nil
}

// setHostname reads the fifth field; a dot ends the host name (nfsroot.rst).
func (s *Spec) setHostname(v string) error {
	if v == "" {
		return nil
	}
	if !validDomain(v) {
		return fmt.Errorf("hostname: %q is no host name", v)
	}
	s.Hostname, s.Domain, _ = strings.Cut(v, ".")
	return nil
}

// The bounds of an MTU: RFC 791's least for every host, and what a link's
// 16 bits of IPv4 length can use.
const (
	minMTU = 576
	maxMTU = 65535
)

func (s *Spec) setMTU(v string) error {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n < minMTU || n > maxMTU {
		return fmt.Errorf("mtu: %q is not %d to %d", v, minMTU, maxMTU)
	}
	s.MTU = int(n)
	return nil
}

// setMAC reads a MAC address that the colons have cut up.
func (s *Spec) setMAC(fields []string) error {
	v := strings.Join(fields, ":")
	if v == "" {
		return nil
	}
	m, err := ParseMAC(v)
	if err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	if m[0]&1 != 0 {
		return errors.New("mac: " + m.String() + " is a group address")
	}
	s.SetMAC = m
	return nil
}

// validDomain reports whether s is a domain name of letters, digits, dashes and
// underscores (RFC 1123, section 2.1; RFC 1035, section 2.3.4), with no dot at
// its end. Nothing in such a name means anything to a shell or in resolv.conf.
func validDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}
