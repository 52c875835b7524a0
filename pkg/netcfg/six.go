package netcfg

import (
	"net/netip"
	"slices"
	"time"
)

// routerTime is how long a link of Either6 waits for an address that a router
// brings before it asks DHCPv6: the first advertisement comes within half a
// second of the kernel's solicitation (RFC 4861, section 6.2.6), or with the
// next one that is due for all, up to 3 s later.
const routerTime = 3 * time.Second

// six is what a port of an IPv6 job has in place of an IPv4 client: what the
// kernel says of the link, and a DHCPv6 client that may have nothing to do. It
// does no I/O.
type six struct {
	method Method
	device string
	client *client6

	net     net6
	local   netip.Addr // the link-local address while it can be used, with a carrier
	asked   bool       // the routers have been solicited
	routers time.Time  // when to go on without them; zero: no more
	said    advertised // by the routers, of name servers

	lease    *Config // by DHCPv6, as it came; nil: none
	checking bool    // no other machine has its address: not known yet
	renewed  bool    // the lease, and nobody has been told
	info     *Config // by DHCPv6, without an address; nil: nothing
	config   Config  // what the link has for the job; the zero Config is nothing
	auto     netip.Prefix
	coming   bool // an address that a router brings is being checked
}

func newSix(s Spec, p Plan, l Link, want netip.Addr, random func() uint32) *six {
	c := newClient6(l.HW, random)
	c.hostname, c.want = s.Hostname, want
	if c.hostname == "" {
		c.hostname = p.Hostname
	} else if s.Domain != "" {
		c.hostname += "." + s.Domain
	}
	if !want.IsValid() && s.Addr.Addr().Is6() {
		c.want = s.Addr.Addr()
	}
	// A link that is down gets its solicitation from the kernel.
	return &six{method: s.Method, device: l.Name, client: c, asked: !l.Up || s.Method == LinkLocal}
}

// due is when something is to be done; zero is never.
func (s *six) due() time.Time {
	return sooner(sooner(s.client.due(), s.routers), s.said.due())
}

// observe takes over what the kernel says of the link. ours tells addresses
// that the kernel has from us.
func (s *six) observe(n net6, carrier bool, ours func(netip.Addr) bool) {
	s.net = n
	s.auto, s.coming = n.global(s.auto, ours)
	s.local = netip.Addr{}
	if local, _ := n.local(); carrier {
		s.local = local.Addr()
	}
}

// answered reports whether a router has been heard.
func (s *six) answered() bool {
	return s.net.flags&(raManaged|raOtherConf|raReceived) != 0 || s.net.gateway.IsValid()
}

// goal is what the DHCPv6 client is to bring as things stand.
func (s *six) goal() goal6 {
	managed := s.net.flags&raManaged != 0
	other := managed || s.net.flags&raOtherConf != 0
	switch {
	case !s.local.IsValid():
		return goal6None
	case s.method == DHCP6, s.method == Either6 && managed,
		s.method == Either6 && s.routers.IsZero() && !s.auto.IsValid() && !s.coming:
		return goal6Address
	case (s.method == Auto6 || s.method == Either6) && other:
		// RFC 4861, section 4.2: the managed flag includes the other.
		return goal6Information
	}
	return goal6None
}

// current returns what the link has: the zero Config if it is nothing; ok is
// false if that is being looked for, and nothing changes meanwhile.
func (s *six) current() (c Config, ok bool) {
	leased := s.lease != nil
	switch {
	case s.method == LinkLocal:
		c = Config{Proto: "link6"}
		c.Addr, _ = s.net.local()
		return c, true
	case leased && s.config.Addr == s.lease.Addr && (s.checking || !s.local.IsValid()):
		return Config{}, false // a link that was down takes its address again
	case leased && !s.checking:
		c = *s.lease
	case s.method == DHCP6 || !s.auto.IsValid():
		return Config{}, true
	default:
		if s.info != nil {
			c = *s.info
		}
		c.Proto, c.Addr = "auto6", s.auto
	}
	c.Gateway = s.net.gateway
	// RFC 8106, section 5.3.1: what DHCP says comes first.
	dns, search := c.DNS, slices.Clone(c.Search)
	for _, l := range s.said {
		if l.dns.IsValid() {
			dns = append(dns[:len(dns):len(dns)], l.dns)
		} else if !slices.Contains(search, l.search) {
			search = append(search, l.search)
		}
	}
	c.DNS, c.Search = nil, search
	for _, a := range dns {
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(s.device)
		}
		c.DNS = append(c.DNS, a)
	}
	return c, true
}

// String says what is missing: "no router advertisement", "no DHCPv6 answer
// after 3 tries".
func (s *six) String() string {
	_, taken := s.net.local()
	switch {
	case taken:
		return "another machine has its link-local address"
	case !s.local.IsValid():
		return "its link-local address is being checked"
	case s.checking:
		return s.lease.Addr.Addr().String() + " is being checked"
	case s.goal() == goal6Address:
		return s.client.String()
	case s.coming:
		return "its address is being checked"
	case s.answered():
		return "the router gives no address"
	}
	return "no router advertisement"
}
