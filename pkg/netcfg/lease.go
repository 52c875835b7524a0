package netcfg

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The bounds of a lease.
const (
	// minLease is the shortest lease taken at its word: a server that says 0
	// must not keep the client busy.
	minLease = 10 * time.Second
	// defaultLease is for an answer without option 51, which RFC 2131 forbids.
	defaultLease = time.Hour
)

// parameters is option 55, what the client asks for. Classless routes come
// before routers (RFC 3442).
const parameters = "\x01\x79\xf9\x03\x06\x0c\x0f\x11\x1a\x2a\x33\x36\x3a\x3b\x43\x77"

// Lease returns what an ACK gives, or an error if the address cannot be a
// machine's. Options that make no sense are taken as absent, one by one.
func (m Message) Lease() (Config, error) {
	if !usable(m.Your) || m.Your.IsLoopback() {
		return Config{}, fmt.Errorf("lease: %s is not the address of one machine", orZero(m.Your))
	}
	c := Config{
		Proto:      "dhcp",
		Addr:       netip.PrefixFrom(m.Your, m.bits()),
		DNS:        m.addrs(optDNS),
		NTP:        m.addrs(optNTP),
		MTU:        m.mtu(),
		Server:     m.addrOption(optServerID),
		BootServer: m.Next,
		BootFile:   m.File,
		RootPath:   text(m.Options[optRootPath]),
	}
	if b, ok := c.broadcast(); ok && (m.Your == b || m.Your == c.Addr.Masked().Addr()) {
		return Config{}, fmt.Errorf("lease: %s is the address of the subnet or its broadcast", c.Addr)
	}
	if !usable(c.Server) {
		c.Server = netip.Addr{}
	}
	if !usable(c.BootServer) {
		c.BootServer = netip.Addr{}
	}
	c.Hostname, c.Domain, c.Search = m.names()
	c.Routes = c.reach(m.routes())
	for _, r := range c.Routes {
		if r.Dst.Bits() == 0 {
			c.Gateway = r.Gateway
		}
	}
	c.Lease, c.T1, c.T2 = m.times()
	return c, nil
}

// bits is the subnet mask; one that is absent or wrong is that of the class.
func (m Message) bits() int {
	if v := m.Options[optMask]; len(v) == 4 {
		if bits, ok := maskBits([4]byte(v)); ok {
			return bits
		}
	}
	return defaultBits(m.Your)
}

// addrs returns the addresses of an option that can be machines'.
func (m Message) addrs(code byte) []netip.Addr {
	var out []netip.Addr
	v := m.Options[code]
	for ; len(v) >= 4; v = v[4:] {
		if a := addr4(v); usable(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func (m Message) mtu() int {
	var n dhcpv4.Uint16
	if n.FromBytes(m.Options[optMTU]) != nil || n < minMTU {
		return 0
	}
	return int(n)
}

// names returns the host name, the domain and the search list. Some servers
// put a search list into option 15, with spaces.
func (m Message) names() (host, domain string, search []string) {
	if name := strings.TrimSuffix(text(m.Options[optHostname]), "."); validDomain(name) {
		host, domain, _ = strings.Cut(name, ".")
	}
	var listed []string
	for _, name := range strings.Fields(text(m.Options[optDomain])) {
		if name = strings.TrimSuffix(name, "."); validDomain(name) {
			listed = append(listed, name)
		}
	}
	if len(listed) > 0 {
		domain = listed[0]
	}
	if search = searchList(m.Options[optSearch]); len(search) == 0 {
		search = listed
	}
	return host, domain, search
}

// routes returns option 121, else 249, else the default route of option 3: a
// client that gets classless routes ignores routers (RFC 3442).
func (m Message) routes() []Route {
	for _, code := range [...]byte{optRoutes, optRoutesMS} {
		if routes, err := classlessRoutes(m.Options[code]); err == nil && len(routes) > 0 {
			return routes
		}
	}
	for _, gateway := range m.addrs(optRouter) {
		if gateway != m.Your && !gateway.IsLoopback() {
			return []Route{{defaultRoute(gateway), gateway}}
		}
	}
	return nil
}

// classlessRoutes reads option 121 (RFC 3442). A gateway 0.0.0.0 means that the
// net is on the link. What no route can be is left out.
func classlessRoutes(b []byte) ([]Route, error) {
	var listed dhcpv4.Routes
	if err := listed.FromBytes(b); err != nil {
		return nil, err
	}
	var routes []Route
	for _, l := range listed {
		bits, _ := l.Dest.Mask.Size()
		r := Route{netip.PrefixFrom(netip.AddrFrom4([4]byte(l.Dest.IP)), bits).Masked(), addr4(l.Router)}
		switch {
		case r.Gateway.IsValid() && (!usable(r.Gateway) || r.Gateway.IsLoopback()):
		case r.Dst.Addr().IsMulticast(), r.Dst.Addr().IsLoopback():
		default:
			routes = append(routes, r)
		}
	}
	return routes, nil
}

// searchList reads option 119: names as in DNS, compressed by pointers into
// the option (RFC 3397, RFC 1035 section 4.1.4). It stops at the first that is
// wrong; names no resolver could use are left out.
//
// The library's rfc1035label refuses a pointer to a name that ends in a
// pointer, and takes pointers forwards and names without an end.
func searchList(b []byte) []string {
	var names []string
	for at := 0; at < len(b); {
		name, next, ok := domainName(b, at)
		if !ok {
			break
		}
		if validDomain(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
		at = next
	}
	return names
}

// domainName reads the name at an offset, and returns where the next one
// begins. Pointers lead backwards only, so that none can go in circles.
func domainName(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	limit, length := at, 0
	for at < len(b) {
		n := int(b[at])
		switch {
		case n == 0:
			return strings.Join(labels, "."), max(next, at+1), true
		case n&0xc0 == 0xc0:
			if at+1 >= len(b) {
				return "", 0, false
			}
			to := (n&0x3f)<<8 | int(b[at+1])
			if to >= limit {
				return "", 0, false
			}
			next = max(next, at+2)
			at, limit = to, to
		case n > 63 || at+1+n > len(b) || length+n+1 > 255:
			return "", 0, false
		default:
			labels = append(labels, string(b[at+1:at+1+n]))
			length += n + 1
			at += 1 + n
		}
	}
	return "", 0, false
}

// times returns the lease and the times of renewing and rebinding, which
// default to a half and seven eighths of it (RFC 2131, section 4.4.5). A lease
// for ever is three zeros.
func (m Message) times() (lease, t1, t2 time.Duration) {
	seconds := func(code byte) (time.Duration, bool) {
		var d dhcpv4.Duration
		err := d.FromBytes(m.Options[code])
		return time.Duration(d), err == nil
	}
	const forever = (1<<32 - 1) * time.Second
	lease, ok := seconds(optLeaseTime)
	switch {
	case !ok:
		lease = defaultLease
	case lease == forever:
		return 0, 0, 0
	}
	lease = max(lease, minLease)
	t1, ok1 := seconds(optT1)
	t2, ok2 := seconds(optT2)
	if !ok2 || t2 >= lease || t2 < minLease/2 {
		t2 = lease - lease/8
	}
	if !ok1 || t1 >= t2 || t1 < minLease/4 {
		t1 = min(lease/2, t2/7*4)
	}
	return lease, t1, t2
}
