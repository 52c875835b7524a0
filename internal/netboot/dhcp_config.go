package netboot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// DHCPConfig is what a [Responder] answers by. It is not changed once a
// Responder has it.
type DHCPConfig struct {
	// Proxy leaves addresses to another server and only tells PXE clients what
	// to boot.
	Proxy bool

	Subnets []Subnet // none in proxy mode
	Book    Book     // nil: no client is known
	Boot    BootConfig

	// DenyUnknown gives clients that the Book does not know no answer.
	DenyUnknown bool

	// Authoritative says that no other server gives out addresses of the
	// subnets: a client that asks for a wrong one is told so (DHCPNAK), and one
	// that asks for a free one gets it, even if its lease has been forgotten.
	// Otherwise the server is silent about leases that it does not know.
	Authoritative bool

	// ByClientID tells clients apart by option 61 where they send one, by the
	// letter of RFC 2131, section 2. By default a client is its hardware
	// address: firmware, iPXE and the system after them send different
	// identifiers, and one machine would use up three addresses in one boot.
	ByClientID bool

	RapidCommit bool // answer a DISCOVER with option 80 by an ACK (RFC 4039)
	Probe       bool // ask for a look whether somebody has an address before its first offer

	OfferHold   time.Duration // an offered address is kept so long for the client; 0: 30 s
	DeclineHold time.Duration // an address that somebody else uses is left alone; 0: 1 h
	Limit       Limit
}

// Subnet is a network that the server gives out addresses of.
type Subnet struct {
	Prefix netip.Prefix
	Pools  []Range // may be none: only reserved addresses

	Routers  []netip.Addr   // option 3
	DNS      []netip.Addr   // option 6
	NTP      []netip.Addr   // option 42
	Domain   string         // option 15
	Search   []string       // option 119
	MTU      int            // option 26; 0: not sent
	Routes   []Route        // options 121 and 249
	Options  []CustomOption // any other, sent to clients that ask for it
	Lease    time.Duration  // 0: 1 h
	MinLease time.Duration  // clients may ask for less than Lease, down to this; 0: Lease
	MaxLease time.Duration  // and for more, up to this; 0: Lease
}

// Range is a run of addresses, both ends in it.
type Range struct{ First, Last netip.Addr }

// Route is a classless static route (RFC 3442).
type Route struct {
	To  netip.Prefix
	Via netip.Addr // 0.0.0.0: on the link
}

// CustomOption is an option with its bytes.
type CustomOption struct {
	Code   byte
	Data   []byte
	Always bool // send it to clients that do not ask for it too
}

// The limits of a configuration.
const (
	maxPool  = 1 << 20 // addresses
	minLease = 30 * time.Second
	maxLease = 10 * 365 * 24 * time.Hour // far below option 51's "for ever"
)

// Validate says what is wrong with a configuration, in words for the user.
func (c DHCPConfig) Validate() error {
	if c.Proxy && len(c.Subnets) > 0 {
		return errors.New("dhcp: proxy mode gives out no addresses: leave out the subnets, or the proxy")
	}
	for i, s := range c.Subnets {
		if err := s.validate(); err != nil {
			return fmt.Errorf("subnet %s: %w", s.Prefix, err)
		}
		for _, other := range c.Subnets[:i] {
			if s.Prefix.Overlaps(other.Prefix) {
				return fmt.Errorf("subnet %s: overlaps with %s", s.Prefix, other.Prefix)
			}
		}
	}
	return c.Boot.validate()
}

func (s Subnet) validate() error {
	if !s.Prefix.Addr().Is4() || s.Prefix.Masked() != s.Prefix {
		return errors.New("not an IPv4 network such as 10.0.0.0/24")
	}
	for i, r := range s.Pools {
		if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
			return fmt.Errorf("pool %s-%s: not a range of IPv4 addresses, the lower first", r.First, r.Last)
		}
		if !s.Prefix.Contains(r.First) || !s.Prefix.Contains(r.Last) {
			return fmt.Errorf("pool %s-%s: outside of the subnet", r.First, r.Last)
		}
		if r.size() > maxPool {
			return fmt.Errorf("pool %s-%s: more than %d addresses", r.First, r.Last, maxPool)
		}
		for _, other := range s.Pools[:i] {
			if !r.Last.Less(other.First) && !other.Last.Less(r.First) {
				return fmt.Errorf("pool %s-%s: overlaps with %s-%s", r.First, r.Last, other.First, other.Last)
			}
		}
	}
	for _, list := range [][]netip.Addr{s.Routers, s.DNS, s.NTP} {
		for _, a := range list {
			if !a.Is4() {
				return fmt.Errorf("%s: not an IPv4 address", a)
			}
		}
	}
	for _, r := range s.Routes {
		if !r.To.Addr().Is4() || !r.Via.Is4() {
			return fmt.Errorf("route to %s via %s: not IPv4", r.To, r.Via)
		}
	}
	lease, low, high := s.times()
	if low < minLease || high > maxLease || low > lease || lease > high {
		return fmt.Errorf("lease times %s, %s at least, %s at most: not in this order, or not between %s and %s", lease, low, high, minLease, maxLease)
	}
	if s.MTU != 0 && (s.MTU < 68 || s.MTU > 65535) {
		return fmt.Errorf("MTU %d: not between 68 and 65535", s.MTU)
	}
	for _, o := range s.Options {
		if o.Code == 0 || o.Code == optEnd || len(o.Data) > 1024 {
			return fmt.Errorf("option %d: codes are 1 to 254, with at most 1024 bytes", o.Code)
		}
	}
	return nil
}

// times returns the lease times with defaults.
func (s Subnet) times() (lease, low, high time.Duration) {
	lease = s.Lease
	if lease == 0 {
		lease = time.Hour
	}
	low, high = s.MinLease, s.MaxLease
	if low == 0 {
		low = lease
	}
	if high == 0 {
		high = lease
	}
	return lease, low, high
}

func (r Range) size() int { return int(number(r.Last)-number(r.First)) + 1 }

// number is an IPv4 address as one.
func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// address is the reverse of number.
func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
