package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Method is how a link gets its addresses.
type Method uint8

// The methods that ip= can ask for.
const (
	DHCP      Method = iota // "dhcp", "on", "any", "all", "bootp", "both": ask by DHCPv4
	Static                  // an address is given
	Off                     // "off", "none", "static" without an address: leave the link alone
	DHCP6                   // "dhcp6"
	Auto6                   // "auto6": router advertisements
	Either6                 // "either6": these, and DHCPv6 if a router says so or none answers
	LinkLocal               // "link6", "link-local": no more than the link-local address
)

// String returns the word that asks for the method.
func (m Method) String() string {
	names := [...]string{"dhcp", "static", "off", "dhcp6", "auto6", "either6", "link6"}
	if int(m) >= len(names) {
		return "method " + strconv.Itoa(int(m))
	}
	return names[m]
}

// Spec is one ip=. A field that was not given has its zero value.
type Spec struct {
	Method  Method
	Device  string // "eth0"; "" for any
	BootDev bool   // the device field says BOOTIF: the one named by BOOTIF=
	HW      MAC    // the device field is a MAC address

	Addr     netip.Prefix // the client's address and mask; under DHCP a wish
	Peer     netip.Prefix // dracut: the far end of a point-to-point link
	Server   netip.Addr   // the NFS server (kernel), under RARP once the only one to hear
	Gateway  netip.Addr
	Hostname string // "node7"
	Domain   string // what followed the first dot of the host name
	DNS      []netip.Addr
	NTP      []netip.Addr
	MTU      int    // bytes; 0: as it is
	SetMAC   MAC    // dracut: the MAC address that the device is to take
	ClientID []byte // type and value of DHCP option 61
}

// router reports whether the method leaves addresses to the kernel, or takes
// them from a DHCPv6 server: all that need the kernel's IPv6 and its sockets.
func (m Method) router() bool {
	return m == DHCP6 || m == Auto6 || m == Either6 || m == LinkLocal
}

// six reports whether a spec is about IPv6.
func (s Spec) six() bool { return s.Method.router() || s.Method == Static && s.Addr.Addr().Is6() }

// errRARP says what RARP would need today.
var errRARP = errors.New("RARP needs a rarpd on the same Ethernet and tells no mask: use dhcp, or give the address")

// ParseIP reads the value of one ip= or nfsaddrs=, in any of these dialects:
//
//   - the kernel's (Documentation/admin-guide/nfs/nfsroot.rst, ip_auto_config_setup
//     in net/ipv4/ipconfig.c, v6.12): a bare method, or up to ten fields
//     client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1:ntp0
//   - dracut's (dracut.cmdline(7)): device:method[:mtu[:mac]], IPv6 addresses in
//     brackets, a prefix length for the mask, a peer for the server, and
//     mtu and mac or two name servers after the seventh field
//   - klibc's (README.ipconfig): "all", "static", and a device by itself
//
// Where they disagree: an address with on, any, both or bootp is static, as in
// the kernel, which asks only for what is missing; with dhcp it is a DHCP
// client that asks for this address first, as in dracut. BOOTP means DHCP,
// whose servers answer such clients. RARP is an error that says so.
// A netmask that is not given follows from the address's class (kernel, klibc);
// for IPv6 it is 64 bits. The error names the field.
func ParseIP(value string) (Spec, error) {
	s, err := parseIP(value)
	if err != nil {
		return Spec{}, fmt.Errorf("ip=%s: %w", value, err)
	}
	return s, nil
}

func parseIP(value string) (Spec, error) {
	if value == "" {
		return Spec{Method: Off}, nil // ip_auto_config_setup: *addrs == 0
	}
	// The kernel takes all that follows "dhcp," for the client identifier,
	// colons too, when the method stands alone.
	if id, ok := strings.CutPrefix(value, "dhcp,"); ok {
		return clientID(Spec{}, id)
	}
	fields, err := splitFields(value)
	if err != nil {
		return Spec{}, err
	}
	if len(fields) == 1 {
		return parseWord(fields[0])
	}
	if deviceForm(fields) {
		return parseDeviceForm(fields)
	}
	return parseLongForm(fields)
}

// deviceForm tells dracut's device:method from the long form whose first field
// is an address, perhaps a wrong one.
func deviceForm(fields []string) bool {
	if strings.Trim(fields[0], "0123456789.") == "" {
		return false
	}
	if _, err := netip.ParseAddr(fields[0]); err == nil {
		return false
	}
	err := new(Spec).setMethod(fields[1])
	return len(fields) <= 4 || err == nil
}

// splitFields cuts at colons that are not between brackets, and takes the
// brackets off.
func splitFields(s string) ([]string, error) {
	var fields []string
	for {
		var field string
		if strings.HasPrefix(s, "[") {
			end := strings.IndexByte(s, ']')
			if end < 0 {
				return nil, fmt.Errorf("field %d: no closing bracket", len(fields)+1)
			}
			field, s = s[1:end], s[end+1:]
			// dracut writes a prefix length inside or behind the brackets.
			if rest, _, _ := strings.Cut(s, ":"); strings.HasPrefix(rest, "/") {
				field, s = field+rest, s[len(rest):]
			}
			if s != "" && s[0] != ':' {
				return nil, fmt.Errorf("field %d: %q after the closing bracket", len(fields)+1, s)
			}
		} else {
			end := strings.IndexByte(s, ':')
			if end < 0 {
				end = len(s)
			}
			field, s = s[:end], s[end:]
		}
		fields = append(fields, field)
		if s == "" {
			return fields, nil
		}
		s = s[1:]
	}
}

// parseWord reads a value without colons: a method, an address, a device.
func parseWord(word string) (Spec, error) {
	var s Spec
	if err := s.setMethod(word); err == nil || errors.Is(err, errRARP) {
		return s, err
	}
	if a, err := parseAddr(word); err == nil {
		if !a.IsValid() {
			return Spec{Method: Off}, nil
		}
		s.Method = Static
		s.Addr, err = withMask(a, "")
		return s, err
	}
	// klibc's short form is any device name. A misspelt method must not pass
	// for one, and devices are numbered.
	if !strings.ContainsAny(word, "0123456789") {
		return Spec{}, fmt.Errorf("autoconf: unknown method %q", word)
	}
	return s, s.setDevice(word)
}

// parseDeviceForm reads dracut's device:method[:mtu[:mac]].
func parseDeviceForm(fields []string) (Spec, error) {
	var s Spec
	if err := s.setDevice(fields[0]); err != nil {
		return Spec{}, fmt.Errorf("field 1 is no client address, and %w", err)
	}
	if fields[1] != "" {
		if err := s.setMethod(fields[1]); err != nil {
			return Spec{}, err
		}
	}
	if len(fields) > 2 && fields[2] != "" {
		if err := s.setMTU(fields[2]); err != nil {
			return Spec{}, err
		}
	}
	if len(fields) > 3 {
		return s, s.setMAC(fields[3:])
	}
	return s, nil
}

// parseLongForm reads the kernel's ten fields, and dracut's seven with mtu and
// mac behind them.
func parseLongForm(fields []string) (Spec, error) {
	var s Spec
	field := func(i int) string {
		if i < len(fields) {
			return fields[i]
		}
		return ""
	}
	client, err := parseAddr(field(0))
	if err != nil {
		return Spec{}, fmt.Errorf("client address: %w", err)
	}
	if err := s.setServer(field(1)); err != nil {
		return Spec{}, err
	}
	if s.Gateway, err = parseAddr(field(2)); err != nil {
		return Spec{}, fmt.Errorf("gateway: %w", err)
	}
	if client.IsValid() {
		if s.Addr, err = withMask(client, field(3)); err != nil {
			return Spec{}, err
		}
	}
	if s.Gateway.IsValid() && client.IsValid() && s.Gateway.Is4() != client.Is4() {
		return Spec{}, fmt.Errorf("gateway: %s and the client address are of two families", s.Gateway)
	}
	if err := s.setHostname(field(4)); err != nil {
		return Spec{}, err
	}
	if device := field(5); device != "" {
		if err := s.setDevice(device); err != nil {
			return Spec{}, err
		}
	}
	if err := s.setAutoconf(field(6)); err != nil {
		return Spec{}, err
	}
	if len(fields) > 7 {
		return s, s.setTail(fields[7:])
	}
	return s, nil
}

// setAutoconf reads the seventh field, after the address is known.
func (s *Spec) setAutoconf(word string) error {
	if word != "" {
		if err := s.setMethod(word); err != nil {
			return err
		}
	}
	name, _, _ := strings.Cut(word, ",")
	switch {
	case !s.Addr.IsValid():
	case s.Method == Off, s.Method == DHCP && name != "dhcp":
		s.Method = Static
	}
	return nil
}

// setTail reads what follows the autoconf field: dns0:dns1:ntp0 (kernel,
// dracut) or mtu[:mac] (dracut), which their first field tells apart.
func (s *Spec) setTail(tail []string) error {
	if _, err := strconv.ParseUint(tail[0], 10, 32); err == nil {
		if err := s.setMTU(tail[0]); err != nil {
			return err
		}
		if len(tail) > 1 {
			return s.setMAC(tail[1:])
		}
		return nil
	}
	if tail[0] == "" && len(tail) > 1 {
		if _, err := ParseMAC(strings.Join(tail[1:], ":")); err == nil {
			return s.setMAC(tail[1:])
		}
	}
	names := [...]string{"dns0", "dns1", "ntp0"}
	for i, v := range tail {
		if i >= len(names) {
			return fmt.Errorf("field %d: there are ten fields", 8+i)
		}
		a, err := parseAddr(v)
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		switch {
		case !a.IsValid():
		case i == 2:
			s.NTP = append(s.NTP, a)
		default:
			s.DNS = append(s.DNS, a)
		}
	}
	return nil
}

// setMethod reads an autoconf word.
func (s *Spec) setMethod(word string) error {
	if id, ok := strings.CutPrefix(word, "dhcp,"); ok {
		var err error
		*s, err = clientID(*s, id)
		return err
	}
	switch word {
	case "dhcp", "dhcp4", "on", "any", "all", "single-dhcp", "bootp", "both":
		s.Method = DHCP
	case "off", "none", "static":
		s.Method = Off
	case "dhcp6":
		s.Method = DHCP6
	case "auto6":
		s.Method = Auto6
	case "either6":
		s.Method = Either6
	case "link6", "link-local":
		s.Method = LinkLocal
	case "rarp":
		return fmt.Errorf("autoconf: %w", errRARP)
	default:
		return fmt.Errorf("autoconf: unknown method %q", word)
	}
	return nil
}

// clientID reads what follows "dhcp,": a type (0 to 255, as kstrtou8 reads it)
// and the value, taken as it is written (ic_proto_name).
func clientID(s Spec, v string) (Spec, error) {
	kind, id, ok := strings.Cut(v, ",")
	if !ok || id == "" {
		return Spec{}, fmt.Errorf("client id: want dhcp,<type>,<id>, not %q", "dhcp,"+v)
	}
	k, err := strconv.ParseUint(kind, 0, 8)
	if err != nil {
		return Spec{}, fmt.Errorf("client id: type %q is not 0 to 255", kind)
	}
	if len(id) > 251 {
		return Spec{}, fmt.Errorf("client id: %d bytes, and 251 is the most", len(id))
	}
	s.Method = DHCP
	s.ClientID = append([]byte{byte(k)}, id...)
	return s, nil
}
