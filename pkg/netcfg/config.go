package netcfg

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is what a link is given.
type Config struct {
	Proto    string       // "dhcp", "static", "dhcp6", "auto6", "link6"
	Addr     netip.Prefix // 10.0.2.15/24
	Peer     netip.Prefix // the far end of a point-to-point link
	Gateway  netip.Addr   // of the default route, for the record: Routes has it
	Routes   []Route      // in the order in which they can be added
	DNS      []netip.Addr
	Domain   string
	Search   []string
	Hostname string // without domain
	MTU      int    // bytes; 0: as it is
	NTP      []netip.Addr

	Server     netip.Addr // the DHCP server, which renews the lease
	BootServer netip.Addr // siaddr, or ip='s second field
	BootFile   string
	RootPath   string

	// The lease and its two times, counted from the request. Zero is for ever.
	Lease, T1, T2 time.Duration
}

// Route is one route; without a Gateway, Dst is on the link.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr
}

// Equal reports whether applying o after c would change nothing.
func (c Config) Equal(o Config) bool {
	return c.Proto == o.Proto && c.Addr == o.Addr && c.Peer == o.Peer && c.Gateway == o.Gateway &&
		slices.Equal(c.Routes, o.Routes) && slices.Equal(c.DNS, o.DNS) && c.Domain == o.Domain &&
		slices.Equal(c.Search, o.Search) && c.Hostname == o.Hostname && c.MTU == o.MTU &&
		slices.Equal(c.NTP, o.NTP) && c.Server == o.Server && c.BootServer == o.BootServer &&
		c.BootFile == o.BootFile && c.RootPath == o.RootPath &&
		c.Lease == o.Lease && c.T1 == o.T1 && c.T2 == o.T2
}

// Leased reports whether a server has given it, and can renew it.
func (c Config) Leased() bool { return c.Proto == "dhcp" || c.Proto == "dhcp6" }

// String sums the config up for a log: "dhcp 10.0.2.15/24, gateway 10.0.2.2,
// lease 24h0m0s".
func (c Config) String() string {
	s := c.Proto + " " + c.Addr.String()
	if c.Gateway.IsValid() {
		s += ", gateway " + c.Gateway.String()
	}
	if c.Lease > 0 {
		s += ", lease " + c.Lease.String()
	}
	return s
}

// Config returns what a spec with a fixed address asks for.
func (s Spec) Config() Config {
	c := Config{
		Proto:      "static",
		Addr:       s.Addr,
		Peer:       s.Peer,
		Gateway:    s.Gateway,
		DNS:        slices.Clone(s.DNS),
		NTP:        slices.Clone(s.NTP),
		Domain:     s.Domain,
		Hostname:   s.Hostname,
		MTU:        s.MTU,
		BootServer: s.Server,
	}
	if s.Domain != "" {
		c.Search = []string{s.Domain}
	}
	if s.Gateway.IsValid() {
		c.Routes = c.reach([]Route{{defaultRoute(s.Gateway), s.Gateway}})
	}
	return c
}

// override puts what ip= and the command line say over what a lease says.
func (c Config) override(s Spec, p Plan) Config {
	if s.Hostname != "" {
		c.Hostname = s.Hostname
	}
	if s.Domain != "" {
		c.Domain = s.Domain
	}
	if s.MTU != 0 {
		c.MTU = s.MTU
	}
	if s.Server.IsValid() {
		c.BootServer = s.Server
	}
	if !p.PeerDNS && c.Proto != "static" {
		c.DNS, c.Search, c.Domain = nil, nil, s.Domain
	}
	c.DNS = unique(slices.Concat(p.Nameservers, s.DNS, c.DNS))
	c.NTP = unique(slices.Concat(s.NTP, c.NTP))
	if s.Gateway.IsValid() && c.Proto == "dhcp" && s.Gateway.Is4() {
		routes := slices.DeleteFunc(slices.Clone(c.Routes), func(r Route) bool { return r.Dst.Bits() == 0 })
		c.Gateway = s.Gateway
		c.Routes = c.reach(append(routes, Route{defaultRoute(s.Gateway), s.Gateway}))
	}
	return c
}

func defaultRoute(gateway netip.Addr) netip.Prefix {
	if gateway.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// reach orders routes so that each can be added: those on the link first, with
// one more for every gateway outside the subnet, as with the leases of /32 that
// clouds give. A second route to the same place, one to the link's own subnet
// and one through the machine itself are left out.
func (c Config) reach(routes []Route) []Route {
	var onLink, via []Route
	seen := map[netip.Prefix]bool{c.subnet().Masked(): true}
	for _, r := range routes {
		if seen[r.Dst] || r.Gateway == c.Addr.Addr() {
			continue
		}
		seen[r.Dst] = true
		if r.Gateway.IsValid() {
			via = append(via, r)
		} else {
			onLink = append(onLink, r)
		}
	}
	for _, r := range via {
		covers := func(o Route) bool { return o.Dst.Contains(r.Gateway) }
		if c.subnet().Contains(r.Gateway) || r.Gateway.IsLinkLocalUnicast() && !r.Gateway.Is4() ||
			slices.ContainsFunc(onLink, covers) {
			continue
		}
		onLink = append(onLink, Route{Dst: netip.PrefixFrom(r.Gateway, r.Gateway.BitLen())})
	}
	return append(onLink, via...)
}

// subnet is what the address itself makes reachable.
func (c Config) subnet() netip.Prefix {
	if c.Peer.IsValid() {
		return c.Peer
	}
	return c.Addr
}

// broadcast is the subnet's broadcast address, if it has one (RFC 3021).
func (c Config) broadcast() (netip.Addr, bool) {
	if !c.Addr.Addr().Is4() || c.Addr.Bits() > 30 || c.Peer.IsValid() {
		return netip.Addr{}, false
	}
	b := c.Addr.Addr().As4()
	for bit := c.Addr.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b), true
}

func unique(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// ResolvConf returns the text of /etc/resolv.conf: at most three name servers
// (MAXNS of resolv.h), "" when there are none and no search list.
func (c Config) ResolvConf() string {
	var b strings.Builder
	search := c.Search
	if len(search) == 0 && c.Domain != "" {
		search = []string{c.Domain}
	}
	if len(search) > 0 {
		b.WriteString("search " + strings.Join(search, " ") + "\n")
	}
	for _, a := range c.DNS[:min(len(c.DNS), 3)] {
		b.WriteString("nameserver " + a.String() + "\n")
	}
	return b.String()
}

// LeaseFile returns /run/net-<dev>.conf as klibc's ipconfig writes it
// (dump_device_config in usr/kinit/ipconfig/main.c): shell assignments, without
// its UPTIME, and with IPV4NTP0 and MTU, which it has not. What a link has of
// IPv6 is in IPV6PROTO, IPV6ADDR and so on, as initramfs-tools write it; lines
// without a value are left out of these. more is what other ip= have given the
// same link.
func (c Config) LeaseFile(device string, more ...Config) string {
	other := Config{} // of the other family
	for i := range more {
		o := &more[i]
		if o.Addr.Addr().Is4() != c.Addr.Addr().Is4() && !other.Addr.IsValid() {
			other = *o
		}
		c.DNS, c.NTP = append(c.DNS[:len(c.DNS):len(c.DNS)], o.DNS...), append(c.NTP[:len(c.NTP):len(c.NTP)], o.NTP...)
		for _, s := range [...][2]*string{{&c.Hostname, &o.Hostname}, {&c.Domain, &o.Domain}, {&c.RootPath, &o.RootPath}, {&c.BootFile, &o.BootFile}} {
			if *s[0] == "" {
				*s[0] = *s[1]
			}
		}
		if len(c.Search) == 0 {
			c.Search = o.Search
		}
	}
	var b leaseText
	b.line("DEVICE", device)
	b.line("PROTO", c.leaseProto())
	b.address(c)
	b.address(other)
	b.line("IPV4DNS0", orZero(nth(c.DNS, 0, true)))
	b.line("IPV4DNS1", orZero(nth(c.DNS, 1, true)))
	b.line("IPV4NTP0", orZero(nth(c.NTP, 0, true)))
	b.server("IPV6DNS0", nth(c.DNS, 0, false))
	b.server("IPV6DNS1", nth(c.DNS, 1, false))
	b.server("IPV6NTP0", nth(c.NTP, 0, false))
	b.line("HOSTNAME", c.Hostname)
	b.line("DNSDOMAIN", c.Domain)
	b.line("NISDOMAIN", "")
	server := c.BootServer
	if !server.IsValid() {
		server = c.Server
	}
	b.line("ROOTSERVER", orZero(server))
	b.line("ROOTPATH", c.RootPath)
	b.line("filename", c.BootFile)
	b.line("MTU", strconv.Itoa(c.MTU))
	b.line("DHCPLEASETIME", strconv.Itoa(int(c.Lease/time.Second)))
	b.line("DOMAINSEARCH", strings.Join(c.Search, " "))
	return b.String()
}

// leaseText is a lease file in the making.
type leaseText struct{ strings.Builder }

func (b *leaseText) line(name, value string) {
	b.WriteString(name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n")
}

// server writes a line of IPv6 if there is such a server.
func (b *leaseText) server(name string, a netip.Addr) {
	if a.IsValid() {
		b.line(name, a.String())
	}
}

// address writes the lines of a config's address, if it has one.
func (b *leaseText) address(c Config) {
	switch {
	case c.Addr.Addr().Is4():
		broadcast, _ := c.broadcast()
		mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), c.Addr.Bits()).Masked()
		b.line("IPV4ADDR", c.Addr.Addr().String())
		b.line("IPV4BROADCAST", orZero(broadcast))
		b.line("IPV4NETMASK", mask.Addr().String())
		b.line("IPV4GATEWAY", orZero(c.Gateway))
	case c.Addr.IsValid():
		b.line("IPV6PROTO", c.leaseProto())
		b.line("IPV6ADDR", c.Addr.String())
		b.server("IPV6GATEWAY", c.Gateway)
	}
}

// leaseProto is the method as klibc calls it.
func (c Config) leaseProto() string {
	if c.Proto == "static" {
		return "none"
	}
	return c.Proto
}

// nth is an address of one family.
func nth(list []netip.Addr, n int, four bool) netip.Addr {
	for _, a := range list {
		if a.Is4() == four {
			if n == 0 {
				return a
			}
			n--
		}
	}
	return netip.Addr{}
}

// orZero writes no address as klibc does.
func orZero(a netip.Addr) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.String()
}
