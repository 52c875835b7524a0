package netboot

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// request answers a REQUEST, by the state that the client is in (RFC 2131,
// section 4.3.2 and table 4).
func (x *exchange) request() {
	server, asked, ciaddr := x.m.addrOption(optServerID), x.m.addrOption(optRequested), x.m.client()
	if server.IsValid() && !x.ours(server) {
		x.event(EventOtherServer, server, "")
		x.withdraw()
		return
	}
	if x.subnet == nil || !x.welcome() {
		return
	}
	switch {
	case server.IsValid() && asked.IsValid():
		x.selecting(asked)
	case server.IsValid():
		// Against table 4, but some clients renew like this.
		x.verify(ciaddr)
	case ciaddr.IsValid():
		x.verify(ciaddr)
	default:
		x.verify(asked)
	}
}

// withdraw takes back an offer, since the client has taken another server's.
func (x *exchange) withdraw() {
	b := x.mine
	if b == nil || !b.offered {
		return
	}
	if !b.kept {
		x.table.remove(b)
		return
	}
	b.offered, b.State = false, LeaseReleased
	x.table.expire(b, x.now)
}

// selecting grants what was offered; also when the offer has run out, or was
// made before the server was last started, and nobody else has the address.
func (x *exchange) selecting(asked netip.Addr) {
	switch {
	case !x.subnet.Prefix.Contains(asked):
		x.nak(asked, "wrong network")
	case !x.available(asked):
		x.nak(asked, "address not available")
	default:
		x.ack(x.take(asked))
	}
}

// verify answers a client that believes to have an address, in the states
// INIT-REBOOT, RENEWING and REBINDING. A server without a record of it is
// silent, for another may have one, unless it is the authority.
func (x *exchange) verify(a netip.Addr) {
	if !a.IsValid() {
		return
	}
	b := x.table.byAddr[a]
	record := b != nil && b.key == x.key && b.kept
	other := x.mine != nil && x.mine.kept && x.mine.Holds(x.now) && x.subnet.Prefix.Contains(x.mine.Addr)
	switch {
	case b != nil && b.foreign && b.Holds(x.now):
		// The client may well be the one that has it.
	case record && x.available(a) && !x.elsewhere(a):
		x.ack(b)
	case record, other:
		x.nak(a, "not the client's address")
	case !x.config.Authoritative:
	case !x.subnet.Prefix.Contains(a):
		x.nak(a, "wrong network")
	case !x.available(a) || x.elsewhere(a):
		x.nak(a, "address not available")
	default:
		x.ack(x.take(a))
	}
}

// elsewhere tells whether another address waits for the client, reserved since
// it got this one.
func (x *exchange) elsewhere(a netip.Addr) bool {
	r := x.node.Address
	return r.IsValid() && r != a && x.subnet.Prefix.Contains(r) && x.available(r)
}

// nak refuses an address.
func (x *exchange) nak(a netip.Addr, why string) {
	x.event(EventNak, a, why)
	r := newReply(x.m, dhcpv4.MessageTypeNak)
	r.putAddr(optServerID, x.server)
	r.put(optText, []byte(why))
	if id := x.m.option(optClientID); id != nil {
		r.put(optClientID, id)
	}
	if x.m.relay().IsValid() {
		// Section 4.3.2: so that the relay broadcasts it.
		r.b[offsetFlags] |= flagBroadcast >> 8
	}
	x.a.Packet, x.a.To = r.bytes(x.m), x.m.destination(netip.Addr{}, true)
}

// decline sets an address aside, which the client has found in use.
func (x *exchange) decline() {
	a := x.m.addrOption(optRequested)
	b := x.table.byAddr[a]
	if !x.ours(x.m.addrOption(optServerID)) || b == nil || b.key != x.key {
		return
	}
	x.event(EventDeclined, a, plainText(x.m.option(optText)))
	x.a.Leases = append(x.a.Leases, x.setAside(x.now, b))
}

// release ends a lease.
func (x *exchange) release() {
	b := x.table.byAddr[x.m.client()]
	if id := x.m.addrOption(optServerID); id.IsValid() && !x.ours(id) || b == nil || b.key != x.key || !b.kept {
		return
	}
	x.free(b)
	x.event(EventReleased, b.Addr, "")
}

// inform tells a client what it wants to know beside its address (RFC 2131,
// section 4.3.5). Only addresses of a subnet get an answer: the source of the
// packet may be forged.
func (x *exchange) inform() {
	if !x.subnet.Prefix.Contains(x.m.client()) {
		return
	}
	x.grant(dhcpv4.MessageTypeAck, netip.Addr{})
}
