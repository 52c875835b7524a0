package netcfg

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// forever6 is infinity in a lifetime (RFC 8415, section 7.7), in seconds.
const forever6 = math.MaxUint32

// ia6 is an IA_NA, what a server says of the client's addresses (RFC 8415,
// section 21.4). Times are in seconds.
type ia6 struct {
	t1, t2 uint32
	addrs  []iaAddr6
	status status6
	text   string // what the server adds to the status
}

// iaAddr6 is one address of an IA_NA.
type iaAddr6 struct {
	addr             netip.Addr
	preferred, valid uint32
}

// askIA6 is the value of an IA_NA that is about an address, or asks for any. The
// times are the server's to choose (RFC 8415, section 21.4).
func askIA6(iaid uint32, addr netip.Addr) []byte {
	b := make([]byte, 40)
	binary.BigEndian.PutUint32(b, iaid)
	if !addr.IsValid() {
		return b[:12]
	}
	b[13], b[15] = opt6IAAddr, 24
	a := addr.As16()
	copy(b[16:], a[:])
	return b
}

// ia returns a message's IA_NA of this number. One that is malformed, or that
// renews after it rebinds (RFC 8415, section 21.4), counts as absent, and so
// does an address that ends before it is deprecated (section 21.6).
func (m message6) ia(iaid uint32) (ia ia6, ok bool) {
	for _, option := range m.options {
		v := option.value
		if option.code != opt6IANA || len(v) < 12 || binary.BigEndian.Uint32(v) != iaid {
			continue
		}
		inner, err := parseOptions6(v[12:])
		ia = ia6{t1: binary.BigEndian.Uint32(v[4:]), t2: binary.BigEndian.Uint32(v[8:])}
		if err != nil || ia.t1 > ia.t2 && ia.t2 > 0 {
			continue
		}
		ia.status, ia.text = inner.status()
		for _, o := range inner {
			if o.code == opt6IAAddr {
				if a, ok := parseIAAddr6(o.value); ok {
					ia.addrs = append(ia.addrs, a)
				}
			}
		}
		return ia, true
	}
	return ia6{}, false
}

func parseIAAddr6(v []byte) (a iaAddr6, ok bool) {
	if len(v) < 24 {
		return a, false
	}
	inner, err := parseOptions6(v[24:])
	if err != nil {
		return a, false
	}
	status, _ := inner.status()
	a = iaAddr6{netip.AddrFrom16([16]byte(v)), binary.BigEndian.Uint32(v[16:]), binary.BigEndian.Uint32(v[20:])}
	return a, status == status6Success && a.preferred <= a.valid && usable6(a.addr)
}

// usable6 reports whether a is a unicast address of more than one link, which a
// server can give to one machine.
func usable6(a netip.Addr) bool {
	return a.Is6() && !a.Is4In6() && a.IsGlobalUnicast()
}

// withdraws reports whether the IA_NA takes an address away.
func (ia ia6) withdraws(a netip.Addr) bool {
	return slices.ContainsFunc(ia.addrs, func(o iaAddr6) bool { return o.addr == a && o.valid == 0 })
}

// lease returns what an IA_NA gives: the address that is wanted or else the
// first, or nil if it gives none.
func (m message6) lease(ia ia6, want netip.Addr) *Config {
	var best iaAddr6
	for _, a := range ia.addrs {
		if a.valid > 0 && (!best.addr.IsValid() || a.addr == want) {
			best = a
		}
	}
	if !best.addr.IsValid() {
		return nil
	}
	c := m.info()
	// The address says nothing of who else is on the link (RFC 5942, section 4):
	// routers do.
	c.Addr = netip.PrefixFrom(best.addr, 128)
	c.Lease, c.T1, c.T2 = ia.times(best)
	return c
}

// info returns what a message says beside addresses. Options that make no sense
// are taken as absent, one by one.
func (m message6) info() *Config {
	c := &Config{Proto: "dhcp6"}
	v, _ := m.options.get(opt6DNS)
	c.DNS = addrs6(v)
	v, _ = m.options.get(opt6Search)
	c.Search = searchList(v)
	v, _ = m.options.get(opt6NTP)
	// RFC 5908: an option of options, of which 1 is a server's address.
	servers, _ := parseOptions6(v)
	for _, o := range servers {
		if o.code == 1 {
			c.NTP = append(c.NTP, addrs6(o.value)...)
		}
	}
	if c.NTP = unique(c.NTP); len(c.NTP) == 0 {
		v, _ = m.options.get(opt6SNTP)
		c.NTP = addrs6(v)
	}
	// RFC 4704: flags, and the name, which may be without an end.
	if v, _ = m.options.get(opt6FQDN); len(v) > 1 {
		if names := searchList(append(v[1:len(v):len(v)], 0)); len(names) > 0 {
			c.Hostname, c.Domain, _ = strings.Cut(names[0], ".")
		}
	}
	return c
}

// fqdn6 is option 39 for a name, "node7" or "node7.example.org": the server
// may enter it into the DNS.
func fqdn6(name string) []byte {
	b := append([]byte{1, 0}, name...)
	for at, i := 1, 2; i < len(b); i++ {
		if b[i] == '.' {
			b[i], at = 0, i
		} else {
			b[at]++
		}
	}
	if strings.Contains(name, ".") {
		b = append(b, 0)
	}
	return b
}

// addrs6 returns the addresses of an option that can be servers'.
func addrs6(v []byte) []netip.Addr {
	var out []netip.Addr
	for ; len(v) >= 16; v = v[16:] {
		a := netip.AddrFrom16([16]byte(v))
		if (usable6(a) || a.IsLinkLocalUnicast()) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// times returns the lease and the times of renewing and rebinding, which
// default to a half and four fifths of the preferred lifetime (RFC 8415, section
// 14.2). A lease for ever is three zeros.
func (ia ia6) times(a iaAddr6) (lease, t1, t2 time.Duration) {
	if a.valid == forever6 {
		return 0, 0, 0
	}
	seconds := func(n uint32) time.Duration { return time.Duration(n) * time.Second }
	lease = max(seconds(a.valid), minLease)
	preferred := lease
	if a.preferred > 0 {
		preferred = min(max(seconds(a.preferred), minLease), lease)
	}
	t1, t2 = seconds(ia.t1), seconds(ia.t2)
	if t2 >= lease || t2 < minLease/2 {
		t2 = preferred / 5 * 4
	}
	if t1 >= t2 || t1 < minLease/4 {
		t1 = min(preferred/2, t2/8*5)
	}
	return lease, t1, t2
}
