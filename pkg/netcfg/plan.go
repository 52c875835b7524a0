package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is how the handoff treats the network.
type Mode uint8

// The modes.
const (
	ModeAuto       Mode = iota // no ip=: DHCP where there is a carrier, and no wait where there is none
	ModeGiven                  // ip=: the handoff waits for it
	ModeBackground             // rambox.net=background: no wait
	ModeWait                   // rambox.net=wait: as with ip=, whatever the links say
	ModeOff                    // rambox.net=off, or ip=off: no network
)

// String returns the word for the mode: "auto", "ip=", "background", "wait", "off".
func (m Mode) String() string {
	names := [...]string{"auto", "ip=", "background", "wait", "off"}
	if int(m) >= len(names) {
		return "mode " + strconv.Itoa(int(m))
	}
	return names[m]
}

// The waits that the command line can change.
const (
	autoTimeout    = 10 * time.Second // without ip=
	givenTimeout   = 30 * time.Second // with it
	deviceTimeout  = 10 * time.Second
	carrierTimeout = 10 * time.Second // rd.net.timeout.carrier's own default
	defaultProbe   = 200 * time.Millisecond
)

// Plan is what the command line asks of the network.
type Plan struct {
	Mode  Mode
	Specs []Spec // at least one, unless Mode is ModeOff

	// How long the handoff waits: for everything together, for a device that
	// is not there, for a carrier on one that is. The work itself goes on.
	Timeout, DeviceTimeout, CarrierTimeout time.Duration

	BootIf      MAC          // BOOTIF=
	BootDev     string       // bootdev=
	Nameservers []netip.Addr // nameserver=, before those of a lease
	PeerDNS     bool         // false with rd.peerdns=0: a lease's name servers are not used
	Routes      []StaticRoute
	Renames     []Rename
	VLANs       []VLAN
	VendorClass string // DHCP option 60
	Hostname    string // told to servers where ip= has none; no parameter of its own
	NeedNet     bool   // rd.neednet=1: the boot fails without network

	// Probe is how long to look by ARP for another machine with a leased
	// address before it is taken; 0: not at all.
	Probe time.Duration
}

// StaticRoute is one rd.route=.
type StaticRoute struct {
	Route
	Device string // "" for the device that reaches the gateway
}

// Rename is one ifname=: the device with this address takes this name.
type Rename struct {
	Name string
	HW   MAC
}

// VLAN is one vlan=.
type VLAN struct {
	Name   string // "eth0.5", "vlan5", "vlan0005"
	Parent string // "eth0"
	ID     uint16 // 1 to 4094
}

// NeedsIPv6 reports whether some ip= needs the kernel's IPv6.
func (p Plan) NeedsIPv6() bool {
	return slices.ContainsFunc(p.Specs, func(s Spec) bool { return s.Method.router() })
}

// Parse reads the network's parameters. lookup returns the values of a
// parameter in the order of the command line, "" for one without a value, nil
// for one that is not there:
//
//	ip= nfsaddrs= BOOTIF= rd.bootif= bootdev= nameserver= rd.peerdns= rd.route=
//	ifname= vlan= rd.neednet= dhcpclass= rambox.net= rambox.net.timeout= rambox.net.probe=
//	rd.net.timeout.iflink= rd.net.timeout.carrier=
//
// The plan is usable even with an error, which joins one error for each value
// that was left out. When that was every ip=, the plan asks DHCP on all links:
// a typing mistake must not cut off a machine that is far away.
func Parse(lookup func(name string) []string) (Plan, error) {
	r := reader{lookup: lookup}
	p := Plan{PeerDNS: true, VendorClass: "rambox"}
	p.NeedNet = r.flag("rd.neednet", false)
	p.Mode = r.mode(p.NeedNet)
	r.specs(&p)
	r.devices(&p)
	r.addresses(&p)
	r.timeouts(&p)
	if class, ok := r.last("dhcpclass"); ok && class != "" && len(class) <= 255 {
		p.VendorClass = class
	}
	return p, errors.Join(r.errs...)
}

// reader reads parameters and keeps the errors.
type reader struct {
	lookup func(name string) []string
	errs   []error
}

func (r *reader) fail(name, value string, err error) {
	r.errs = append(r.errs, fmt.Errorf("%s=%s: %w", name, value, err))
}

func (r *reader) last(name string) (string, bool) {
	values := r.lookup(name)
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// flag reads a boolean as dracut's getargbool does: "0", "no" and "off" are
// false, any other value and none are true.
func (r *reader) flag(name string, absent bool) bool {
	v, ok := r.last(name)
	if !ok {
		return absent
	}
	return v != "0" && v != "no" && v != "off"
}

func (r *reader) mode(needed bool) Mode {
	v, ok := r.last("rambox.net")
	switch {
	case ok:
	case needed:
		return ModeWait
	default:
		return ModeAuto
	}
	switch v {
	case "off":
		return ModeOff
	case "background":
		return ModeBackground
	case "wait":
		return ModeWait
	}
	r.fail("rambox.net", v, errors.New("want off, background or wait"))
	return ModeAuto
}

// specs reads ip= and nfsaddrs=, and settles the mode.
func (r *reader) specs(p *Plan) {
	values := append(slices.Clone(r.lookup("ip")), r.lookup("nfsaddrs")...)
	bad := 0
	for _, v := range values {
		s, err := ParseIP(v)
		switch {
		case err != nil:
			bad++
			r.errs = append(r.errs, err)
		case s.Method != Off:
			p.Specs = append(p.Specs, s)
		}
	}
	switch {
	case p.Mode == ModeOff:
		p.Specs = nil
	case len(p.Specs) > 0:
		if p.Mode == ModeAuto {
			p.Mode = ModeGiven
		}
	case len(values) == 0 || bad == len(values):
		p.Specs = []Spec{{Method: DHCP}}
		if len(values) > 0 && p.Mode == ModeAuto {
			p.Mode = ModeGiven
		}
	default:
		p.Mode = ModeOff
	}
}

// devices reads what names, renames and makes devices.
func (r *reader) devices(p *Plan) {
	if v, ok := r.last("BOOTIF"); ok && r.flag("rd.bootif", true) {
		m, err := ParseBOOTIF(v)
		if err != nil {
			r.fail("BOOTIF", v, err)
		}
		p.BootIf = m
	}
	if v, ok := r.last("bootdev"); ok {
		if validDevice(v) {
			p.BootDev = v
		} else {
			r.fail("bootdev", v, fmt.Errorf("%q is no name of a device", v))
		}
	}
	for _, v := range r.lookup("ifname") {
		name, mac, _ := strings.Cut(v, ":")
		m, err := ParseMAC(mac)
		if err == nil && !validDevice(name) {
			err = fmt.Errorf("%q is no name of a device", name)
		}
		if err != nil {
			r.fail("ifname", v, err)
			continue
		}
		p.Renames = append(p.Renames, Rename{name, m})
	}
	for _, v := range r.lookup("vlan") {
		l, err := parseVLAN(v)
		if err != nil {
			r.fail("vlan", v, err)
			continue
		}
		p.VLANs = append(p.VLANs, l)
	}
}

// parseVLAN reads vlan=<name>:<device>. The digits at the end of the name are
// the number, in all four styles of dracut.cmdline(7).
func parseVLAN(v string) (VLAN, error) {
	name, parent, _ := strings.Cut(v, ":")
	if !validDevice(name) || !validDevice(parent) {
		return VLAN{}, errors.New("want <name>:<device>")
	}
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	id, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || id < 1 || id > 4094 {
		return VLAN{}, fmt.Errorf("the name %q does not end in a number from 1 to 4094", name)
	}
	return VLAN{name, parent, uint16(id)}, nil
}

// addresses reads nameserver= and rd.route=.
func (r *reader) addresses(p *Plan) {
	p.PeerDNS = r.flag("rd.peerdns", true)
	for _, v := range r.lookup("nameserver") {
		a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(v, "["), "]"))
		if err != nil || !usable(a) {
			r.fail("nameserver", v, errors.New("not an IP address"))
			continue
		}
		p.Nameservers = append(p.Nameservers, a)
	}
	for _, v := range r.lookup("rd.route") {
		route, err := parseRoute(v)
		if err != nil {
			r.fail("rd.route", v, err)
			continue
		}
		p.Routes = append(p.Routes, route)
	}
}

// parseRoute reads rd.route=<net>/<netmask>:<gateway>[:<device>].
func parseRoute(v string) (StaticRoute, error) {
	fields, err := splitFields(v)
	if err != nil {
		return StaticRoute{}, err
	}
	if len(fields) < 2 || len(fields) > 3 {
		return StaticRoute{}, errors.New("want <net>/<netmask>:<gateway>[:<device>]")
	}
	var route StaticRoute
	addr, mask, _ := strings.Cut(fields[0], "/")
	dst, err := netip.ParseAddr(addr)
	if err != nil {
		return StaticRoute{}, fmt.Errorf("net: %q is no IP address", addr)
	}
	if route.Dst, err = netPrefix(dst, mask); err != nil {
		return StaticRoute{}, err
	}
	if route.Gateway, err = parseAddr(fields[1]); err != nil {
		return StaticRoute{}, fmt.Errorf("gateway: %w", err)
	}
	if route.Gateway.IsValid() && route.Gateway.Is4() != dst.Is4() {
		return StaticRoute{}, errors.New("gateway: of another family than the net")
	}
	if len(fields) == 3 && fields[2] != "" {
		if !validDevice(fields[2]) {
			return StaticRoute{}, fmt.Errorf("device: %q is no name of a device", fields[2])
		}
		route.Device = fields[2]
	}
	if !route.Gateway.IsValid() && route.Device == "" {
		return StaticRoute{}, errors.New("neither a gateway nor a device")
	}
	return route, nil
}

// netPrefix joins a network and its mask; no mask is one machine, and 0 bits
// are the whole Internet.
func netPrefix(dst netip.Addr, mask string) (netip.Prefix, error) {
	bits := dst.BitLen()
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && dst.Is4() {
		n, ok := maskBits(m.As4())
		if !ok && !m.IsUnspecified() {
			return netip.Prefix{}, fmt.Errorf("netmask: the bits of %s are not in one piece", m)
		}
		bits = n
	} else if mask != "" {
		n, err := strconv.ParseUint(mask, 10, 8)
		if err != nil || int(n) > bits {
			return netip.Prefix{}, fmt.Errorf("netmask: %q is not 0 to %d bits", mask, bits)
		}
		bits = int(n)
	}
	return netip.PrefixFrom(dst, bits).Masked(), nil
}

// timeouts reads the waits, in seconds.
func (r *reader) timeouts(p *Plan) {
	p.Timeout = givenTimeout
	if p.Mode == ModeAuto {
		p.Timeout = autoTimeout
	}
	p.Timeout = r.seconds("rambox.net.timeout", p.Timeout)
	p.DeviceTimeout = r.seconds("rd.net.timeout.iflink", deviceTimeout)
	p.CarrierTimeout = r.seconds("rd.net.timeout.carrier", carrierTimeout)
	p.Probe = r.probe()
}

// probe reads rambox.net.probe, in milliseconds; without a value it is 200.
func (r *reader) probe() time.Duration {
	v, ok := r.last("rambox.net.probe")
	switch {
	case !ok:
		return 0
	case v == "":
		return defaultProbe
	}
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		r.fail("rambox.net.probe", v, errors.New("want a number of milliseconds, below 65536"))
	}
	return time.Duration(n) * time.Millisecond
}

func (r *reader) seconds(name string, absent time.Duration) time.Duration {
	v, ok := r.last(name)
	if !ok {
		return absent
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		r.fail(name, v, errors.New("want a number of seconds"))
		return absent
	}
	return time.Duration(n) * time.Second
}
