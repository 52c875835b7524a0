package netcfg

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"
)

// state is where a client is in figure 5 of RFC 2131.
type state uint8

const (
	stateIdle       state = iota // no carrier and no lease, or released
	stateSelecting               // DISCOVER sent
	stateRequesting              // an offer is asked for
	stateRebooting               // the link came back: is the lease still good?
	stateProbing                 // granted; does somebody else have the address?
	stateBound
	stateRenewing  // T1 is past: unicast to the server
	stateRebinding // T2 is past: broadcast to all
	stateBackoff   // after a NAK
)

// The times of retransmission. RFC 2131, section 4.1, begins with 4 s; a
// machine that boots behind a switch that drops its first packets must not
// lose these.
const (
	firstRetry = time.Second
	maxRetry   = 32 * time.Second
	maxTries   = 4 // of a REQUEST, before the client begins again
	quickTries = 3 // of a renewal
	minRenew   = 3 * time.Second
)

// packet is a message to send: by broadcast, or to one server from the leased
// address.
type packet struct {
	Message
	to netip.Addr // invalid: broadcast
}

// step is what a client wants done after an event.
type step struct {
	send  []packet
	probe netip.Addr // ask by ARP who has this address
	lease *Config    // apply this: a new lease, or a renewed one
	lost  bool       // take the lease's addresses away
	note  string     // for the log
}

// client is the DHCPv4 state machine of one link (RFC 2131, section 4.4). It
// does no I/O and reads no clock: every event comes with its time, tick is due
// when due says so. It is not safe for concurrent use.
//
// The library's nclient4 does not replace it: it has no jitter and no rapid
// commit, and its random source spins until the kernel has entropy.
type client struct {
	hw       MAC
	id       []byte // option 61
	class    string
	hostname string
	want     netip.Addr    // ask for this address first
	probe    time.Duration // how long to look for another machine with the address; 0: not at all
	random   func() uint32 // for transaction ids and jitter

	state   state
	carrier bool
	xid     uint32
	began   time.Time // of this transaction
	asked   time.Time // when the last message went: a lease counts from then
	tries   int
	naks    int // in a row
	timer   time.Time
	server  netip.Addr // whose offer is asked for
	offered netip.Addr
	granted Config // while probing

	lease          Config
	t1, t2, expiry time.Time // zero: the lease is for ever
	hasLease       bool
}

// due returns when tick wants to be called; zero is never.
func (c *client) due() time.Time { return c.timer }

// up tells that the link has a carrier: begin, or ask whether the lease is
// still good here.
func (c *client) up(now time.Time) step {
	c.carrier = true
	if c.hasLease {
		c.begin(stateRebooting, now)
	} else {
		c.begin(stateSelecting, now)
	}
	return c.transmit(now)
}

// down tells that the carrier is gone. The lease runs on.
func (c *client) down() {
	c.carrier = false
	c.state, c.timer = stateIdle, time.Time{}
	if c.hasLease {
		c.state, c.timer = stateBound, c.expiry
	}
}

// renew asks for the lease's renewal now; a client without one is asking
// already.
func (c *client) renew(now time.Time) step {
	if !c.hasLease {
		return step{}
	}
	if c.state == stateRenewing || c.state == stateRebinding {
		return c.transmit(now)
	}
	c.begin(stateRenewing, now)
	if !c.lease.Server.IsValid() {
		c.state = stateRebinding
	}
	return c.transmit(now)
}

// release gives back the lease, or what was asked for and may have been granted
// by now; the client does nothing more.
func (c *client) release() step {
	addr, server := c.offered, c.server
	var s step
	if c.hasLease {
		addr, server = c.lease.Addr.Addr(), c.lease.Server
		s.lost, s.note = true, "released "+c.lease.Addr.String()
	}
	if (c.hasLease || c.state == stateRequesting || c.state == stateProbing) && server.IsValid() {
		id := server.As4()
		p := packet{Message: Message{
			XID: c.random(), HW: c.hw, Client: addr,
			Options: map[byte][]byte{optType: {byte(Release)}, optServerID: id[:], optClientID: c.id},
		}}
		if c.hasLease {
			p.to = server
		}
		s.send = []packet{p}
	}
	c.drop()
	c.state, c.timer = stateIdle, time.Time{}
	return s
}

// tick does what is due.
func (c *client) tick(now time.Time) step {
	if c.timer.IsZero() || now.Before(c.timer) {
		return step{}
	}
	if c.hasLease && !c.expiry.IsZero() && !now.Before(c.expiry) {
		return c.expire(now)
	}
	switch c.state {
	case stateBackoff:
		return c.up(now)
	case stateProbing:
		return c.probed(now)
	case stateRequesting:
		if c.tries >= maxTries {
			c.begin(stateSelecting, now)
		}
	case stateRebooting:
		if c.tries >= maxTries {
			// RFC 2131, section 3.2, 5: no answer, and the lease still runs.
			c.settle(now)
			return step{note: "no server confirms " + c.lease.Addr.String() + ", kept until it expires"}
		}
	case stateBound:
		return c.renew(now)
	case stateRenewing, stateRebinding:
		if c.expiry.IsZero() && c.tries >= maxTries {
			c.settle(now) // asked out of turn, and the lease is for ever
			return step{}
		}
		if c.state == stateRenewing && !c.expiry.IsZero() && !now.Before(c.t2) {
			c.begin(stateRebinding, now)
		}
	}
	return c.transmit(now)
}

// receive takes a server's message.
func (c *client) receive(now time.Time, m Message) step {
	if !m.Reply || m.XID != c.xid || m.HW != c.hw {
		return step{}
	}
	server := m.addrOption(optServerID)
	switch m.Type() {
	case Offer:
		if c.state != stateSelecting || !usable(m.Your) || !usable(server) {
			return step{}
		}
		xid, began := c.xid, c.began
		c.begin(stateRequesting, now)
		// The request keeps the offer's transaction (RFC 2131, section 4.4.1).
		c.xid, c.began = xid, began
		c.server, c.offered = server, m.Your
		return c.transmit(now)
	case Ack:
		return c.ack(now, m)
	case Nak:
		return c.nak(now, m, server)
	}
	return step{}
}

func (c *client) ack(now time.Time, m Message) step {
	switch c.state {
	case stateSelecting:
		if _, ok := m.Options[optRapidCommit]; !ok {
			return step{}
		}
	case stateRequesting:
		if m.addrOption(optServerID) != c.server {
			return step{}
		}
	case stateRebooting, stateRenewing, stateRebinding:
	default:
		return step{}
	}
	lease, err := m.Lease()
	if err != nil {
		return step{note: err.Error()}
	}
	if !lease.Server.IsValid() {
		lease.Server = c.lease.Server
	}
	if c.probe > 0 && !c.hasLease {
		return c.beginProbe(now, lease)
	}
	return c.accept(now, lease)
}

// accept enters BOUND with a lease.
func (c *client) accept(now time.Time, lease Config) step {
	c.lease, c.hasLease, c.naks = lease, true, 0
	c.want = lease.Addr.Addr()
	c.expiry, c.t1, c.t2 = time.Time{}, time.Time{}, time.Time{}
	if lease.Lease > 0 {
		c.expiry = c.asked.Add(lease.Lease)
	}
	c.settle(now)
	return step{lease: &lease}
}

// settle enters BOUND with the times of the lease.
func (c *client) settle(now time.Time) {
	c.state, c.tries = stateBound, 0
	if c.lease.Lease == 0 {
		c.timer = time.Time{}
		return
	}
	start := c.expiry.Add(-c.lease.Lease)
	// RFC 2131, section 4.4.5: a fuzz, so that a room full of machines that
	// were switched on together does not renew together.
	c.t1 = start.Add(c.lease.T1 - c.fraction(c.lease.T1/16))
	c.t2 = start.Add(c.lease.T2)
	c.timer = c.t1
	if c.timer.Before(now) {
		c.timer = now
	}
}

func (c *client) nak(now time.Time, m Message, server netip.Addr) step {
	switch c.state {
	case stateRequesting:
		if server != c.server {
			return step{}
		}
	case stateRebooting, stateRenewing, stateRebinding:
	default:
		return step{}
	}
	s := step{lost: c.hasLease, note: "refused by " + server.String()}
	if why := text(m.Options[optText]); why != "" {
		s.note += ": " + why
	}
	c.drop()
	c.want = netip.Addr{}
	if c.naks++; c.naks > 1 {
		c.state, c.timer = stateBackoff, now.Add(c.delay(c.naks-2))
		return s
	}
	c.begin(stateSelecting, now)
	s.send = c.transmit(now).send
	return s
}

func (c *client) expire(now time.Time) step {
	s := step{lost: true, note: "the lease of " + c.lease.Addr.String() + " has expired"}
	c.drop()
	if !c.carrier {
		c.state, c.timer = stateIdle, time.Time{}
		return s
	}
	c.begin(stateSelecting, now)
	s.send = c.transmit(now).send
	return s
}

func (c *client) drop() {
	c.hasLease, c.lease = false, Config{}
	c.t1, c.t2, c.expiry = time.Time{}, time.Time{}, time.Time{}
}

// begin enters a state with a new transaction.
func (c *client) begin(s state, now time.Time) {
	c.state, c.tries, c.began, c.xid = s, 0, now, c.random()
}

// transmit sends the state's message and sets the time of the next try.
func (c *client) transmit(now time.Time) step {
	p := packet{Message: c.message(now)}
	if c.state == stateRenewing {
		p.to = c.lease.Server
	}
	wait := c.delay(c.tries)
	switch c.state {
	case stateRenewing:
		wait = c.renewWait(now, c.t2)
	case stateRebinding:
		wait = c.renewWait(now, c.expiry)
	}
	c.timer = now.Add(wait)
	if c.hasLease && !c.expiry.IsZero() && c.timer.After(c.expiry) {
		c.timer = c.expiry
	}
	c.asked, c.tries = now, c.tries+1
	return step{send: []packet{p}}
}

// renewWait is half of the time that is left (RFC 2131, section 4.4.5), after
// a few quick tries in case a packet was lost.
func (c *client) renewWait(now, until time.Time) time.Duration {
	if until.IsZero() {
		return c.delay(c.tries)
	}
	left := max(until.Sub(now), 0)
	if c.tries < quickTries {
		return min(c.delay(c.tries), left)
	}
	return min(max(left/2, minRenew), left)
}

// message makes the state's message (RFC 2131, table 5).
func (c *client) message(now time.Time) Message {
	m := Message{
		XID:  c.xid,
		Secs: uint16(min(now.Sub(c.began)/time.Second, 65535)),
		HW:   c.hw,
		// A server or switch that cannot deliver unicast to a client without
		// an address shows by its silence.
		Broadcast: c.tries >= 2 && !c.hasLease,
		Options: map[byte][]byte{
			optType:       {byte(Request)},
			optParameters: []byte(parameters),
			optMaxSize:    binary.BigEndian.AppendUint16(nil, maxMessage),
			optClientID:   c.id,
		},
	}
	if c.class != "" {
		m.Options[optClass] = []byte(c.class)
	}
	if c.hostname != "" {
		m.Options[optHostname] = []byte(c.hostname)
	}
	option := func(code byte, a netip.Addr) {
		if a.Is4() {
			b := a.As4()
			m.Options[code] = b[:]
		}
	}
	switch c.state {
	case stateSelecting:
		m.Options[optType] = []byte{byte(Discover)}
		m.Options[optRapidCommit] = []byte{}
		option(optRequested, c.want)
	case stateRequesting:
		option(optRequested, c.offered)
		option(optServerID, c.server)
	case stateRebooting:
		option(optRequested, c.lease.Addr.Addr())
	case stateRenewing, stateRebinding:
		m.Client = c.lease.Addr.Addr()
	}
	return m
}

// delay is the time before try n+1: 1, 2, 4 … 32 s, a quarter more or less.
func (c *client) delay(n int) time.Duration {
	d := maxRetry
	if n < 5 {
		d = firstRetry << n
	}
	return d*3/4 + c.fraction(d/2)
}

// fraction is a random part of d.
func (c *client) fraction(d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(c.random()) / (1 << 32))
}

// String says what the client is doing: "asking (3 tries)", "10.0.2.15/24".
func (c *client) String() string {
	switch {
	case c.hasLease:
		return c.lease.Addr.String()
	case c.state == stateIdle:
		return "idle"
	case c.state == stateBackoff:
		return "refused by the server"
	case c.state == stateProbing:
		return "looking whether anybody has " + c.granted.Addr.Addr().String()
	case c.state == stateRequesting:
		return "offered " + c.offered.String()
	default:
		return "no DHCP offer after " + strconv.Itoa(c.tries) + plural(c.tries, " try", " tries")
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
