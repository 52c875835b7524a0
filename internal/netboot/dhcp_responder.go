package netboot

import (
	"errors"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Responder is the core of the DHCP server: requests in, answers out, after
// RFC 2131 and, for what boots, the PXE specification 2.1 and RFC 4578. It does
// no I/O and reads no clock. It is not safe for concurrent use.
type Responder struct {
	config  DHCPConfig
	table   *table
	limit   limiter
	scratch dhcpMessage
}

// Defaults of DHCPConfig.
const (
	offerHold   = 30 * time.Second
	declineHold = time.Hour
)

// errNoClient is a request that does not say whose it is.
var errNoClient = errors.New("dhcp: a request without hardware address and identifier")

// NewResponder returns the core for a configuration, with the leases of a
// store.
func NewResponder(config DHCPConfig, store Store) (*Responder, error) {
	r := &Responder{}
	if err := r.configure(config); err != nil {
		return nil, err
	}
	err := store.Leases(func(l Lease) bool {
		r.table.place(&binding{Lease: l, key: string(l.Client), kept: true, index: -1})
		return true
	})
	return r, err
}

// Configure takes a new configuration, with all leases and offers. One that is
// wrong changes nothing.
func (r *Responder) Configure(config DHCPConfig) error {
	old := r.table
	if err := r.configure(config); err != nil {
		return err
	}
	for _, b := range old.byAddr {
		b.index = -1
		r.table.place(b)
	}
	return nil
}

func (r *Responder) configure(config DHCPConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	if config.OfferHold == 0 {
		config.OfferHold = offerHold
	}
	if config.DeclineHold == 0 {
		config.DeclineHold = declineHold
	}
	r.config, r.table = config, newTable(config.Subnets)
	r.limit.Limit = config.Limit
	return nil
}

// exchange is one request on its way to its answer.
type exchange struct {
	*Responder
	now  time.Time
	m    *dhcpMessage
	from Source

	c      *Client
	node   Node
	known  bool // in the Book
	key    string
	subnet *subnet    // of the client; nil: none that the server knows
	server netip.Addr // as the client knows the server
	mine   *binding   // the client's latest
	a      Answer
}

// Reply returns the answer to a packet that a client or a relay has sent. What
// the server need not answer has the zero Answer; an error is a packet that is
// no request of DHCP. The Answer shares no memory with the packet.
func (r *Responder) Reply(now time.Time, packet []byte, from Source) (Answer, error) {
	m := &r.scratch
	if err := m.parse(packet); err != nil {
		return Answer{}, err
	}
	x := &exchange{Responder: r, now: now, m: m, from: from, key: m.key(r.config.ByClientID)}
	if x.key == "" {
		return Answer{}, errNoClient
	}
	c := m.clientInfo()
	x.c = &c
	if ok, first := r.limit.allow(now, x.key); !ok {
		if first {
			x.event(EventLimited, netip.Addr{}, "")
		}
		return x.a, nil
	}
	x.locate()
	if !x.server.IsValid() {
		return Answer{}, nil // the link has no address yet
	}
	if x.subnet != nil {
		x.c.Subnet = x.subnet.Prefix
	}
	x.mine = r.table.byKey[x.key]
	if x.c.UUID == "" && x.mine != nil {
		// The system after the firmware sends none, and is the same machine.
		x.c.UUID = x.mine.UUID
	}
	if r.config.Book != nil {
		x.node, x.known = r.config.Book.Lookup(*x.c)
	}
	x.dispatch()
	return x.a, nil
}

func (x *exchange) dispatch() {
	kind := x.m.kind()
	if x.from.Port == pxePort {
		if (kind == dhcpv4.MessageTypeRequest || kind == dhcpv4.MessageTypeInform) && x.welcome() {
			x.bootServer()
		}
		return
	}
	if x.config.Proxy {
		switch boots := x.c.PXE || x.c.HTTPBoot; {
		case boots && kind == dhcpv4.MessageTypeDiscover && x.welcome():
			x.proxyOffer()
		case boots && kind == dhcpv4.MessageTypeRequest && x.m.addrOption(optRequested).IsValid():
			// The other server's client: now it is known by which address.
			x.c.IP = x.m.addrOption(optRequested)
			x.event(EventSeen, x.c.IP, "")
		}
		return
	}
	switch kind {
	case dhcpv4.MessageTypeDiscover:
		if x.subnet != nil && x.welcome() {
			x.discover()
		}
	case dhcpv4.MessageTypeRequest:
		x.request()
	case dhcpv4.MessageTypeDecline:
		x.decline()
	case dhcpv4.MessageTypeRelease:
		x.release()
	case dhcpv4.MessageTypeInform:
		if x.subnet != nil && x.welcome() {
			x.inform()
		}
	}
}

// welcome tells whether the configuration answers the client.
func (x *exchange) welcome() bool {
	if x.node.Refused || x.config.DenyUnknown && !x.known {
		x.event(EventRefused, netip.Addr{}, "")
		return false
	}
	return true
}

// locate finds the client's subnet and the server's address for it: by the
// relay, by the address that the client has, or by the link.
func (x *exchange) locate() {
	link, t := x.from.Link, x.table
	for _, p := range link.Addrs {
		if s := t.contains(p.Addr()); s != nil && x.subnet == nil {
			x.subnet, x.server = s, p.Addr()
		}
	}
	if !x.server.IsValid() && len(link.Addrs) > 0 {
		x.server = link.Addrs[0].Addr()
	}
	if x.from.To.IsValid() {
		x.server = x.from.To
	}
	switch relay, ciaddr := x.m.relay(), x.m.client(); {
	case relay.IsValid():
		x.subnet = t.contains(relay)
		if a := linkSelection(x.m.option(optAgent)); a.IsValid() {
			x.subnet = t.contains(a)
		}
	case ciaddr.IsValid() && x.from.To.IsValid():
		// A renewal by unicast comes through routers, which are no relays.
		x.subnet = t.contains(ciaddr)
	}
}

// linkSelection reads the relay's suboption 5 (RFC 3527).
func linkSelection(agent []byte) netip.Addr {
	for len(agent) > 1 && len(agent) >= 2+int(agent[1]) {
		if agent[0] == 5 && agent[1] == 4 {
			return addr4(agent[2:])
		}
		agent = agent[2+int(agent[1]):]
	}
	return netip.Addr{}
}

// ours tells whether an address is the server's.
func (x *exchange) ours(a netip.Addr) bool {
	if a == x.server {
		return true
	}
	for _, p := range x.from.Link.Addrs {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

func (x *exchange) event(kind EventKind, a netip.Addr, text string) {
	x.a.Events = append(x.a.Events, Event{Kind: kind, Client: x.c, Link: x.from.Link.Name, Addr: a, Text: text})
}

// Conflict tells that somebody uses an address which the server was about to
// offer. It is left alone for a while, which the leases that are returned say
// to the store; after that the request can be answered once more, with another
// address.
func (r *Responder) Conflict(now time.Time, a netip.Addr) []Lease {
	b := r.table.byAddr[a]
	if b == nil || !b.offered {
		return nil // leased by now
	}
	return []Lease{r.setAside(now, b)}
}

// setAside makes a binding nobody's.
func (r *Responder) setAside(now time.Time, b *binding) Lease {
	if r.table.byKey[b.key] == b {
		delete(r.table.byKey, b.key)
	}
	client := b.Client
	b.key, b.offered, b.kept = "", false, true
	b.Lease = Lease{Addr: b.Addr, State: LeaseDeclined, Start: now, Expires: b.Expires, MAC: b.MAC}
	r.table.expire(b, now.Add(r.config.DeclineHold))
	stored := b.Lease
	stored.Client = client // whose lease this replaces in the store
	return stored
}

// Refused tells that the store has not taken a lease, since another server gave
// the address to somebody.
func (r *Responder) Refused(now time.Time, a netip.Addr) {
	if b := r.table.byAddr[a]; b != nil {
		r.setAside(now, b)
		b.foreign = true
	}
}
