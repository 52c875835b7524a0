package netboot

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// discover offers an address (RFC 2131, section 4.3.1).
func (x *exchange) discover() {
	x.event(EventSeen, netip.Addr{}, "")
	b := x.choose(x.m.addrOption(optRequested))
	if b == nil {
		x.event(EventNoAddress, netip.Addr{}, x.subnet.Prefix.String())
		return
	}
	b.probed = b.probed && b.Holds(x.now)
	if !b.kept && !b.probed && x.config.Probe {
		// Asked once: a client that repeats its request while the server still
		// looks is not kept waiting.
		b.probed, x.a.Probe = true, b.Addr
	}
	if x.config.RapidCommit && x.m.has(optRapidCommit) && !x.a.Probe.IsValid() {
		x.ack(b)
		return
	}
	if b.offered || !b.Holds(x.now) {
		b.offered, b.State = true, LeaseActive
		x.table.expire(b, x.now.Add(x.config.OfferHold))
	}
	x.event(EventOffered, b.Addr, "")
	x.grant(dhcpv4.MessageTypeOffer, b.Addr)
}

// choose finds the client's address: the one reserved for it, the one that it
// has or last had, the one that it asks for, or any. It returns nil if there is
// none.
func (x *exchange) choose(want netip.Addr) *binding {
	if a := x.node.Address; a.IsValid() && x.subnet.Prefix.Contains(a) {
		if x.available(a) {
			return x.take(a)
		}
		x.event(EventConflict, a, "reserved for this machine, and another has it still")
	}
	if x.mine != nil && x.subnet.Prefix.Contains(x.mine.Addr) && x.usable(x.mine.Addr) {
		return x.mine
	}
	if x.available(want) {
		return x.take(want)
	}
	if a, ok := x.table.free(x.subnet, x.now, x.skip); ok {
		return x.take(a)
	}
	return nil
}

// skip tells whether a pool must not give an address to just anybody.
func (x *exchange) skip(a netip.Addr) bool {
	return x.subnet.network(a) || x.ours(a) || x.config.Book != nil && x.config.Book.Reserved(a)
}

// usable tells whether the client may have an address, if nobody else has it.
func (x *exchange) usable(a netip.Addr) bool {
	return a.IsValid() && (a == x.node.Address || x.subnet.inPool(a) && !x.skip(a))
}

// available tells whether the client may have an address now.
func (x *exchange) available(a netip.Addr) bool {
	if !x.usable(a) {
		return false
	}
	b := x.table.byAddr[a]
	return b == nil || !b.Holds(x.now) || b.key == x.key && b.State != LeaseDeclined
}

// take binds an address to the client, whoever had it before, and forgets an
// offer of another one.
func (x *exchange) take(a netip.Addr) *binding {
	if b := x.table.byAddr[a]; b != nil {
		if b.key == x.key && b.State != LeaseDeclined {
			return b
		}
		x.table.remove(b)
	}
	if x.mine != nil && x.mine.offered && !x.mine.kept {
		x.table.remove(x.mine)
		x.mine = nil
	}
	b := &binding{key: x.key, index: -1, offered: true}
	b.Addr, b.Client = a, []byte(x.key)
	b.Expires = x.now.Add(x.config.OfferHold)
	x.table.place(b)
	return b
}

// ack leases an address to the client, once the store has that.
func (x *exchange) ack(b *binding) {
	if old := x.mine; old != nil && old != b && old.kept && old.Holds(x.now) && x.subnet.Prefix.Contains(old.Addr) {
		x.free(old)
	}
	if b.offered || !b.Holds(x.now) {
		b.Start = x.now
	}
	b.State, b.offered, b.kept = LeaseActive, false, true
	b.MAC, b.UUID, b.Hostname = x.c.MAC, x.c.UUID, x.hostname()
	x.table.expire(b, x.now.Add(x.leaseTime()))
	x.table.byKey[x.key] = b
	x.a.Leases = append(x.a.Leases, b.Lease)
	x.event(EventLeased, b.Addr, "")
	x.grant(dhcpv4.MessageTypeAck, b.Addr)
}

// free ends a lease. The client has it again if it comes back in time.
func (x *exchange) free(b *binding) {
	b.State, b.offered = LeaseReleased, false
	x.table.expire(b, x.now)
	x.a.Leases = append(x.a.Leases, b.Lease)
}

// leaseTime is how long the lease runs: what the client asks for within the
// subnet's bounds.
func (x *exchange) leaseTime() time.Duration {
	lease, low, high := x.subnet.times()
	if s, ok := x.m.seconds(optLeaseTime); ok {
		lease = min(max(time.Duration(s)*time.Second, low), high)
	}
	return lease
}

// hostname is the configuration's name for the client, or its own.
func (x *exchange) hostname() string {
	if x.node.Hostname != "" {
		return x.node.Hostname
	}
	return x.c.Hostname
}
