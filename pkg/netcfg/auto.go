package netcfg

import "net/netip"

// Flags of an address (linux/if_addr.h) and of a link's IPv6 (IF_RA_* of
// net/if_inet6.h, v6.12).
const (
	addrTemporary  = 0x01
	addrOptimistic = 0x04
	addrDADFailed  = 0x08
	addrDeprecated = 0x20
	addrTentative  = 0x40

	raOtherConf = 0x80
	raManaged   = 0x40
	raReceived  = 0x20
)

// addr6 is one of a link's IPv6 addresses.
type addr6 struct {
	prefix netip.Prefix
	flags  uint32
}

// ready reports whether the address can be used: no other machine has it (RFC
// 4862, section 5.4).
func (a addr6) ready() bool { return a.flags&(addrTentative|addrDADFailed) == 0 }

// net6 is what the kernel knows of a link's IPv6.
type net6 struct {
	addrs   []addr6
	flags   uint32     // IF_RA_*
	gateway netip.Addr // of the default route
}

// local returns the link-local address, once it can be used; taken says that it
// cannot, as another machine has it.
func (n net6) local() (a netip.Prefix, taken bool) {
	for _, a := range n.addrs {
		switch {
		case !a.prefix.Addr().IsLinkLocalUnicast():
		case a.ready():
			return a.prefix, false
		case a.flags&addrDADFailed != 0:
			taken = true
		}
	}
	return netip.Prefix{}, taken
}

// global returns the address that the link has of its own accord: one that goes
// beyond the link, is not among ours, and is not there for privacy. Of several
// it is the one that was chosen before, then one that is not deprecated. coming
// says that one is being checked.
func (n net6) global(before netip.Prefix, ours func(netip.Addr) bool) (a netip.Prefix, coming bool) {
	deprecated := false
	for _, o := range n.addrs {
		switch {
		case !usable6(o.prefix.Addr()) || ours(o.prefix.Addr()) || o.flags&(addrTemporary|addrDADFailed) != 0:
		case !o.ready():
			coming = true
		case !a.IsValid(), deprecated && o.flags&addrDeprecated == 0, o.prefix == before && o.flags&addrDeprecated == 0:
			a, deprecated = o.prefix, o.flags&addrDeprecated != 0
		}
	}
	return a, coming
}

// find returns the state of an address.
func (n net6) find(a netip.Addr) (addr6, bool) {
	for _, o := range n.addrs {
		if o.prefix.Addr() == a {
			return o, true
		}
	}
	return addr6{}, false
}
